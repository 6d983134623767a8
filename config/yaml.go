package config

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strconv"
	"strings"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"
)

// yaml takes the options of a YAML document.
func (r *reader) yaml(name string, data []byte) {
	file := origin{source: cmp.Or(name, "YAML")}
	root, line, err := parseYAML(data)
	if err != nil {
		file.line = line
		r.problem(file, err)
		return
	}
	file.line = root.Line
	session := r.child(root, file, "session")
	if session.node == nil {
		return
	}
	store := r.child(session.node, session.at, "store")
	if store.node == nil {
		return
	}
	entries, ok := r.mapping(store.node, store.at, true)
	if !ok {
		return
	}
	for _, e := range entries {
		switch e.at.key {
		case "driver":
			r.scalar(lookup("driver"), e)
		case "options":
			r.options(e)
		default:
			r.unknown(e.at, []string{"driver", "options"}, "options", names("driver"))
		}
	}
}

// options takes the options in a mapping.
func (r *reader) options(in entry) {
	entries, ok := r.mapping(in.node, in.at, true)
	if !ok {
		return
	}
	for _, e := range entries {
		o := lookup(e.at.key)
		if o == nil || o.Name == "driver" {
			r.unknown(e.at, names("driver"), "store", []string{"driver"})
			continue
		}
		r.scalar(o, e)
	}
}

// unknown reports a key that is not one of known; elsewhere are the keys that have their place in another mapping.
func (r *reader) unknown(at origin, known []string, place string, elsewhere []string) {
	key := at.key
	at.key = name(key)
	for _, e := range elsewhere {
		if key == e {
			r.problem(at, fmt.Errorf("belongs into %s", place))
			return
		}
	}
	r.problem(at, fmt.Errorf("unknown key; the nearest is %q", nearest(nameStart.FindString(key), known)))
}

// scalar takes an option's value, of any shape.
func (r *reader) scalar(o *option, e entry) {
	if isNull(e.node) {
		return
	}
	if in, ok := r.input(o, e); ok {
		r.set(o, e.at, in)
	}
}

// input turns a node into what the option's kind reads.
func (r *reader) input(o *option, e entry) (input, bool) {
	switch e.node.Kind {
	case yaml.SequenceNode:
		in := input{shape: list}
		if o.shape != list {
			return in, true // set says what is wrong
		}
		ok := true
		for _, item := range e.node.Content {
			item = resolve(item)
			text, err := literal(item, o.secret)
			if err != nil {
				ok = false
				r.problem(e.at.on(item.Line), fmt.Errorf("an item %w", err))
			}
			in.items = append(in.items, text)
		}
		return in, ok
	case yaml.MappingNode:
		in := input{shape: pairs}
		if o.shape != pairs {
			return in, true
		}
		entries, ok := r.mapping(e.node, e.at, true)
		for _, value := range entries {
			if isNull(value.node) {
				continue
			}
			text, err := literal(value.node, true)
			if err != nil {
				ok = false
				value.at.key = name(value.at.key)
				r.problem(value.at, err)
			}
			in.pairs = append(in.pairs, pair{value.at.key, text})
		}
		return in, ok
	}
	text, err := literal(e.node, o.secret)
	if err != nil {
		r.problem(e.at, err)
	}
	return input{text: text}, err == nil
}

// literal is the text of a scalar as it was written. hide keeps a tag out of the error: "!secret" may be a password.
func literal(n *yaml.Node, hide bool) (string, error) {
	switch {
	case n.Kind != yaml.ScalarNode:
		return "", fmt.Errorf("is a %s, but must be a string, number or boolean", nodeKind(n))
	case isNull(n):
		return "", errors.New("is null")
	case n.Style&yaml.TaggedStyle == 0:
		return n.Value, nil
	}
	switch n.ShortTag() {
	case "!!str", "!!int", "!!float", "!!bool":
		return n.Value, nil
	}
	if hide {
		return "", errors.New("begins with !, which makes it a YAML tag: quote it")
	}
	return "", fmt.Errorf("has the YAML tag %s, which is not understood", show(n.Tag))
}

// entry is a key with its value.
type entry struct {
	at   origin
	node *yaml.Node
}

// child finds one key of a mapping whose other keys belong to the application. Its absence is a problem.
func (r *reader) child(n *yaml.Node, at origin, key string) entry {
	entries, ok := r.mapping(n, at, false)
	if !ok {
		return entry{}
	}
	var found entry
	for _, e := range entries {
		switch {
		case e.at.key != key:
		case found.node != nil:
			r.problem(e.at, conflict(e.at, found.at))
		default:
			found = e
		}
	}
	if found.node == nil || isNull(found.node) {
		r.problem(at, fmt.Errorf("has no %s: %w", key, errWhere))
		return entry{}
	}
	return found
}

// mapping lists the entries of a mapping, its own and those merged into it. ours is false where others may have keys,
// too, which are none of our concern; the keys that come twice are then left to the caller.
func (r *reader) mapping(n *yaml.Node, at origin, ours bool) ([]entry, bool) {
	if isNull(n) {
		return nil, true
	}
	if n.Kind != yaml.MappingNode {
		r.problem(at, fmt.Errorf("is a %s, but must be a map", nodeKind(n)))
		return nil, false
	}
	m := mapper{r: r, at: at, ours: ours, seen: map[*yaml.Node]bool{}, keys: map[string]bool{}}
	m.add(n)
	return m.entries, true
}

// mapper flattens a mapping and what it merges. A mapping is taken once: a second time adds nothing, and may be endless.
type mapper struct {
	r       *reader
	at      origin
	ours    bool
	entries []entry
	seen    map[*yaml.Node]bool
	keys    map[string]bool // those of the mappings before, which go first
}

func (m *mapper) add(n *yaml.Node) {
	if m.seen[n] {
		return
	}
	m.seen[n] = true
	own := map[string]origin{}
	var merged []*yaml.Node
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := resolve(n.Content[i]), resolve(n.Content[i+1])
		at := m.at.under(key.Value).on(n.Content[i].Line)
		switch first, twice := own[key.Value]; {
		case key.Kind == yaml.ScalarNode && key.Tag == "!!merge":
			merged = append(merged, value)
		case key.Kind != yaml.ScalarNode:
			m.fail(m.at.on(n.Content[i].Line), fmt.Errorf("has a %s for a key", nodeKind(key)))
		case twice && m.ours:
			at.key = name(at.key)
			m.fail(at, fmt.Errorf("is given twice (line %d)", first.line))
		case m.keys[key.Value]: // a merged one, replaced
		default:
			own[key.Value] = at
			m.entries = append(m.entries, entry{at, value})
		}
	}
	for key := range own {
		m.keys[key] = true
	}
	for _, value := range merged {
		m.merge(value)
	}
}

func (m *mapper) merge(n *yaml.Node) {
	switch n.Kind {
	case yaml.MappingNode:
		m.add(n)
	case yaml.SequenceNode:
		for _, item := range n.Content {
			if item = resolve(item); item.Kind == yaml.MappingNode {
				m.add(item)
			} else {
				m.fail(m.at.under("<<").on(item.Line), errMerge)
			}
		}
	default:
		m.fail(m.at.under("<<").on(n.Line), errMerge)
	}
}

var errWhere = errors.New("the database is named at session.store.driver, the rest under session.store.options")

var errMerge = errors.New("merges what is not a map")

func (m *mapper) fail(at origin, err error) {
	if m.ours {
		m.r.problem(at, err)
	}
}

// resolve follows an alias.
func resolve(n *yaml.Node) *yaml.Node {
	if n.Kind == yaml.AliasNode {
		return n.Alias
	}
	return n
}

func isNull(n *yaml.Node) bool {
	return n.Kind == yaml.ScalarNode && n.Tag == "!!null" && n.Style&yaml.TaggedStyle == 0
}

func nodeKind(n *yaml.Node) string {
	switch n.Kind {
	case yaml.MappingNode:
		return "map"
	case yaml.SequenceNode:
		return "list"
	}
	return "scalar"
}

// parseYAML returns the one document in data, or an error and its line (0 if unknown).
func parseYAML(data []byte) (*yaml.Node, int, error) {
	if len(data) > maxFile {
		return nil, 0, fmt.Errorf("has %d bytes, more than %d", len(data), maxFile)
	}
	if line := firstUnreadable(data); line > 0 {
		return nil, line, errors.New("is not YAML: a control character, or not UTF-8")
	}
	var doc, more yaml.Node
	decoder := yaml.NewDecoder(bytes.NewReader(data))
	err := decoder.Decode(&doc)
	if errors.Is(err, io.EOF) || err == nil && isNull(doc.Content[0]) {
		return nil, 0, fmt.Errorf("is empty: %w", errWhere)
	}
	if err == nil {
		switch err = decoder.Decode(&more); {
		case err == nil:
			return nil, more.Line, errors.New("a second document: only one is read")
		case errors.Is(err, io.EOF):
			return resolve(doc.Content[0]), 0, nil
		}
	}
	line, err := syntaxError(data, err)
	return nil, line, err
}

var (
	yamlLine    = regexp.MustCompile(`^yaml: (?:line ([0-9]+): )?`)
	yamlUnknown = regexp.MustCompile(`(?s)^unknown anchor '(.*)' referenced$`)
)

// syntaxError takes the line out of an error of the YAML library, and the anchor's name: a password in front of which
// someone put no quotes may begin with *.
func syntaxError(data []byte, err error) (int, error) {
	msg := err.Error()
	start := yamlLine.FindStringSubmatch(msg)
	if start == nil {
		return 0, errors.New("is not YAML")
	}
	msg = msg[len(start[0]):]
	line, _ := strconv.Atoi(cmp.Or(start[1], "1")) // which it leaves out
	if m := yamlUnknown.FindStringSubmatch(msg); m != nil {
		before, _, _ := bytes.Cut(data, []byte("*"+m[1]))
		return bytes.Count(before, []byte("\n")) + 1, errors.New("a value begins with *, which refers to an anchor that is not there: quote it")
	}
	return line, fmt.Errorf("is not YAML: %s", msg)
}

// firstUnreadable returns the line of the first character that YAML forbids, which the library does not tell; 0 is none.
func firstUnreadable(data []byte) int {
	text := strings.TrimPrefix(string(data), "\ufeff")
	for i, c := range text {
		switch {
		case c == '\t', c == '\n', c == '\r', c == 0x85:
			continue
		case c < ' ', c >= 0x7f && c < 0xa0, c == 0xfeff, c == 0xfffe, c == 0xffff:
		case c == utf8.RuneError && !strings.HasPrefix(text[i:], string(utf8.RuneError)):
		default:
			continue
		}
		return strings.Count(text[:i], "\n") + 1
	}
	return 0
}
