package gorillastore

import (
	"bytes"
	"encoding/gob"
	"encoding/json"
	"fmt"
)

// Serializer turns the values of a session into a payload and back.
type Serializer interface {
	Serialize(values map[any]any) ([]byte, error)
	Deserialize(data []byte) (map[any]any, error)
}

// Gob takes values of any type that is registered with gob.Register.
type Gob struct{}

// Serialize implements Serializer.
func (Gob) Serialize(values map[any]any) ([]byte, error) {
	var b bytes.Buffer
	err := gob.NewEncoder(&b).Encode(values)
	return b.Bytes(), err
}

// Deserialize implements Serializer.
func (Gob) Deserialize(data []byte) (map[any]any, error) {
	values := map[any]any{}
	if len(data) == 0 {
		return values, nil
	}
	err := gob.NewDecoder(bytes.NewReader(data)).Decode(&values)
	return values, err
}

// JSON is readable in the database, and by other programs. The keys must be strings, and the values come back as encoding/json gives them: every number
// is a float64.
type JSON struct{}

// Serialize implements Serializer.
func (JSON) Serialize(values map[any]any) ([]byte, error) {
	byName := make(map[string]any, len(values))
	for k, v := range values {
		name, ok := k.(string)
		if !ok {
			return nil, fmt.Errorf("a key is a %T: JSON takes strings only", k)
		}
		byName[name] = v
	}
	return json.Marshal(byName)
}

// Deserialize implements Serializer.
func (JSON) Deserialize(data []byte) (map[any]any, error) {
	values := map[any]any{}
	if len(data) == 0 {
		return values, nil
	}
	var byName map[string]any
	if err := json.Unmarshal(data, &byName); err != nil {
		return nil, err
	}
	for k, v := range byName {
		values[k] = v
	}
	return values, nil
}
