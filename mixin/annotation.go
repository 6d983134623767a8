package mixin

import "entgo.io/ent/schema"

// AnnotationName is under what ent keeps the Annotation of a schema.
const AnnotationName = "EntSession"

// Annotation tells package entext, which generates typed stores, about a schema. The mixin Session brings one; a schema without the mixin,
// whose fields make a sessions table by themselves, asks for a typed store with an Annotation of its own.
type Annotation struct {
	// Skip leaves the schema without a typed store.
	Skip bool `json:"Skip,omitempty"`
	// Store is what the typed store is called. The default is the schema's name and "Store", such as SessionStore.
	Store string `json:"Store,omitempty"`
	// Stored is what one of its sessions is called. The default is "Stored" and the schema's name, such as StoredSession.
	Stored string `json:"Stored,omitempty"`
}

// Name implements ent's schema.Annotation.
func (Annotation) Name() string { return AnnotationName }

// Merge implements ent's schema.Merger: what a schema says goes before what its mixins say.
func (a Annotation) Merge(other schema.Annotation) schema.Annotation {
	var o Annotation
	switch other := other.(type) {
	case Annotation:
		o = other
	case *Annotation:
		if other == nil {
			return a
		}
		o = *other
	default:
		return a
	}
	a.Skip = a.Skip || o.Skip
	if o.Store != "" {
		a.Store = o.Store
	}
	if o.Stored != "" {
		a.Stored = o.Stored
	}
	return a
}

// Annotations of the Session.
func (Session) Annotations() []schema.Annotation { return []schema.Annotation{Annotation{}} }

var _ schema.Merger = Annotation{}
