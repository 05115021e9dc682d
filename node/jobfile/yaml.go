package jobfile

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"souk/internal/nearest"
)

// Load reads the job file at path, YAML or JSON, and lays settings over it.
// Relative paths start at the file's folder. Its errors are *Error.
func Load(path string, settings ...Setting) (Spec, error) {
	whole := place{file: path}
	data, err := readCapped(path)
	if err != nil {
		return Spec{}, whole.wrong("%s", err)
	}
	dir, err := filepath.Abs(filepath.Dir(path))
	if err != nil {
		return Spec{}, whole.wrong("%v", err)
	}
	return Read(path, dir, data, settings...)
}

var (
	errTooLong = errors.New("it has more than 256KiB, which is too much for a job file; put data into inputs")
	errFolder  = errors.New("it is a folder; name the job file in it")
)

func readCapped(path string) ([]byte, error) {
	f, err := os.Open(path) //nolint:gosec // the user's own path
	if err != nil {
		return nil, errors.New(whyNot(path, "job file", err))
	}
	defer f.Close()
	if info, err := f.Stat(); err == nil && info.IsDir() {
		return nil, errFolder
	}
	data, err := io.ReadAll(io.LimitReader(f, MaxFile+1))
	if err != nil {
		return nil, err
	}
	if bytes.HasPrefix(data, []byte(wasmMagic)) {
		return nil, fmt.Errorf("it is a WASM module and no job file; put it after --: souk run --total 0.10 -- %s", path)
	}
	if len(data) > MaxFile {
		return nil, errTooLong
	}
	return data, nil
}

// Read is Load of what the file, which only errors name, holds: data, at most
// MaxFile bytes. Relative paths start at dir.
func Read(file, dir string, data []byte, settings ...Setting) (Spec, error) {
	d := newDraft(dir)
	if err := d.readDocument(place{file: file}, data); err != nil {
		return Spec{}, err
	}
	if err := d.apply(settings); err != nil {
		return Spec{}, err
	}
	return d.finish(file)
}

func (d *draft) readDocument(whole place, data []byte) error {
	if trimmed := bytes.TrimSpace(data); len(trimmed) > 0 && trimmed[0] == '{' && json.Valid(data) {
		data = bytes.ReplaceAll(data, []byte("\t"), []byte(" ")) // JSON may be indented by tabs, YAML may not
	}
	dec := yaml.NewDecoder(bytes.NewReader(data))
	var doc, second yaml.Node
	err := dec.Decode(&doc)
	switch {
	case errors.Is(err, io.EOF):
		return whole.wrong("it is empty; the smallest job is: task: {wasm: FILE.wasm}, limits: {total: 0.10}")
	case err != nil:
		return whole.wrong("it is neither YAML nor JSON: %s", strings.TrimPrefix(err.Error(), "yaml: "))
	case !errors.Is(dec.Decode(&second), io.EOF):
		whole.line = max(second.Line, 0)
		return whole.wrong("it holds a second document; a job file holds one")
	}
	root := doc.Content[0]
	return d.mapping(whole, root, map[string]reader{
		"name":    d.scalar("name"),
		"task":    d.readTask,
		"inputs":  d.readInputs,
		"outputs": d.scalar("outputs"),
		"needs":   d.readNeeds,
		"verify":  d.section("verify"),
		"limits":  d.section("limits"),
		"region":  d.scalar("region"),
		"retries": d.scalar("retries"),
	})
}

// reader reads one value; at names its key.
type reader func(at place, value *yaml.Node) error

// mapping reads every key of node by its reader, and refuses other keys.
func (d *draft) mapping(at place, node *yaml.Node, readers map[string]reader) error {
	keys := slices.Sorted(maps.Keys(readers))
	at.line = node.Line
	if node.Kind != yaml.MappingNode {
		return at.wrong("%s stands where keys and values are needed; the keys are %s", kindOf(node), strings.Join(keys, ", "))
	}
	seen := map[string]int{}
	for i := 0; i+1 < len(node.Content); i += 2 {
		key, value := node.Content[i], node.Content[i+1]
		here := at.at(shorten(key.Value), key.Line)
		read, known := readers[key.Value]
		switch {
		case key.Kind != yaml.ScalarNode:
			return at.at("?", key.Line).wrong("%s can't be a key", kindOf(key))
		case !known:
			return here.wrong("unknown key%s; the keys here are %s", meant(key.Value, keys), strings.Join(keys, ", "))
		case seen[key.Value] > 0:
			return here.wrong("it stands here again; it was set in line %d", seen[key.Value])
		}
		seen[key.Value] = key.Line
		if err := read(here, value); err != nil {
			return err
		}
	}
	return nil
}

func meant(word string, keys []string) string {
	if near := nearest.To(word, keys); near != "" {
		return ", did you mean " + near + "?"
	}
	return ""
}

func shorten(s string) string {
	if len(s) <= maxKey {
		return s
	}
	return strings.ToValidUTF8(s[:maxKey], "") + "…"
}

// scalar reads the field of that name from one value.
func (d *draft) scalar(field string) reader {
	return func(at place, value *yaml.Node) error {
		text, err := scalarText(at, value)
		if err != nil {
			return err
		}
		at.line = value.Line
		return d.set(field, at, text)
	}
}

// section reads a mapping whose fields are all scalars.
func (d *draft) section(name string) reader {
	readers := d.fields(name)
	return func(at place, value *yaml.Node) error { return d.mapping(at, value, readers) }
}

func (d *draft) fields(name string) map[string]reader {
	readers := map[string]reader{}
	for field := range setters {
		if key, ok := strings.CutPrefix(field, name+"."); ok {
			readers[key] = d.scalar(field)
		}
	}
	return readers
}

// scalarText is a value's text as it was written.
func scalarText(at place, value *yaml.Node) (string, error) {
	at.line = value.Line
	switch {
	case value.Kind != yaml.ScalarNode:
		return "", at.wrong("%s stands where one value is needed", kindOf(value))
	case value.Tag == "!!null":
		return "", at.wrong("it is empty; write a value or leave the line out")
	}
	return value.Value, nil
}

func kindOf(node *yaml.Node) string {
	switch node.Kind {
	case yaml.MappingNode:
		return "a mapping"
	case yaml.SequenceNode:
		return "a list"
	case yaml.AliasNode:
		return "an alias, which job files can't use,"
	}
	if node.Tag == "!!null" {
		return "nothing"
	}
	return "a single value"
}
