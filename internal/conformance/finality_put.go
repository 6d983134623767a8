package conformance

import (
	"github.com/entsession/entsession"
	"github.com/entsession/entsession/internal/adapter"
)

// putsUnderWay are what the adapters to session managers write: over what was loaded, over whatever is there, and the renewal of what did not change.
var putsUnderWay = []underWay{
	{name: "Put", writes: true, run: func(_ *env, store *entsession.Store, s *entsession.Session, ready func()) (*entsession.Session, error) {
		return put(store, adapter.Write{ID: s.ID(), Data: []byte("put"), Default: true, Loaded: s, Guarded: true}, ready)
	}},
	{name: "PutOver", writes: true, run: func(_ *env, store *entsession.Store, s *entsession.Session, ready func()) (*entsession.Session, error) {
		return put(store, adapter.Write{ID: s.ID(), Data: []byte("put"), Default: true, Known: true}, ready)
	}},
	{name: "PutUnchanged", run: func(_ *env, store *entsession.Store, s *entsession.Session, ready func()) (*entsession.Session, error) {
		return put(store, adapter.Write{ID: s.ID(), Data: s.Data, Default: true, Loaded: s, Guarded: true, Same: true}, ready)
	}},
	{name: "PutUnchangedDue", writes: true, due: true, run: func(_ *env, store *entsession.Store, s *entsession.Session, ready func()) (*entsession.Session, error) {
		return put(store, adapter.Write{ID: s.ID(), Data: s.Data, Default: true, Loaded: s, Guarded: true, Same: true}, ready)
	}},
}

// put returns no session: it gives none a new id. To a manager it is no error that a session has ended.
func put(store *entsession.Store, w adapter.Write, ready func()) (*entsession.Session, error) {
	ready()
	res, err := adapter.Put(ctx, store, w)
	if err == nil && res.Ended {
		err = entsession.ErrNotFound
	}
	return nil, err
}
