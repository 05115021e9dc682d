package config

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"souk/internal/nearest"
)

const maxFile = 1 << 20

// parseFile reads a config file; every value's origin is its line.
func parseFile(path string, data []byte) (layer, error) {
	p := fileParser{path: path, layer: newLayer(), known: map[string]field{}}
	for _, f := range fields() {
		p.known[f.key] = f
	}
	if len(data) > maxFile {
		return layer{}, p.wrong(0, "", "it has more than 1MiB, which is too much for a config file")
	}
	dec := yaml.NewDecoder(bytes.NewReader(data))
	var doc, second yaml.Node
	switch err := dec.Decode(&doc); {
	case errors.Is(err, io.EOF):
		return p.layer, nil
	case err != nil:
		return layer{}, p.wrong(0, "", "it is no YAML: "+strings.TrimPrefix(err.Error(), "yaml: "))
	case !errors.Is(dec.Decode(&second), io.EOF):
		return layer{}, p.wrong(second.Line, "", "it holds a second document; a config file holds one")
	}
	return p.layer, p.mapping("", doc.Content[0])
}

type fileParser struct {
	path  string
	layer layer
	known map[string]field
}

func (p *fileParser) origin(line int) string {
	if line == 0 {
		return p.path
	}
	return fmt.Sprintf("%s:%d", p.path, line)
}

func (p *fileParser) wrong(line int, key, reason string) error {
	return &Error{Origin: p.origin(line), Key: key, Reason: reason}
}

// mapping reads the keys below prefix, which is empty or ends in a dot.
func (p *fileParser) mapping(prefix string, node *yaml.Node) error {
	if node.Kind == yaml.ScalarNode && node.Tag == "!!null" {
		return nil // every key of it is a comment
	}
	if node.Kind != yaml.MappingNode {
		return p.wrong(node.Line, strings.TrimSuffix(prefix, separator), "keys and values are needed here, such as network: souk")
	}
	for i := 0; i+1 < len(node.Content); i += 2 {
		if err := p.entry(prefix, node.Content[i], node.Content[i+1]); err != nil {
			return err
		}
	}
	return nil
}

func (p *fileParser) entry(prefix string, name, value *yaml.Node) error {
	key := prefix + name.Value
	if p.isSection(key) {
		return p.mapping(key+separator, value)
	}
	f, known := p.known[key]
	if !known {
		return p.wrong(name.Line, clip(key), "unknown key"+meant(key, p.keys()))
	}
	if earlier, twice := p.layer.origins[key]; twice {
		return p.wrong(name.Line, key, "it stands here again; it was set at "+earlier)
	}
	values, err := p.values(f, value)
	if err != nil {
		return err
	}
	p.layer.set(key, values, p.origin(value.Line))
	return nil
}

func (p *fileParser) isSection(key string) bool {
	return slices.ContainsFunc(p.keys(), func(k string) bool { return strings.HasPrefix(k, key+separator) })
}

func (p *fileParser) keys() []string {
	keys := make([]string, 0, len(p.known))
	for key := range p.known {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	return keys
}

func (p *fileParser) values(f field, node *yaml.Node) ([]string, error) {
	items := []*yaml.Node{node}
	if node.Kind == yaml.SequenceNode {
		if !f.list {
			return nil, p.wrong(node.Line, f.key, "one value is needed, not a list")
		}
		items = node.Content
	}
	values := []string{}
	for _, item := range items {
		if item.Kind != yaml.ScalarNode || item.Tag == "!!null" {
			return nil, p.wrong(item.Line, f.key, "a value is needed here; put # before the line to leave it out")
		}
		values = append(values, item.Value)
	}
	return values, nil
}

func meant(word string, known []string) string {
	if near := nearest.To(word, known); near != "" {
		return ", did you mean " + near + "?"
	}
	return ""
}

func clip(s string) string {
	if len(s) <= 64 {
		return s
	}
	return strings.ToValidUTF8(s[:64], "") + "…"
}
