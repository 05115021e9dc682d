package jobfile

import (
	"fmt"

	"go.yaml.in/yaml/v3"
)

func (d *draft) readTask(at place, value *yaml.Node) error {
	return d.mapping(at, value, map[string]reader{
		"wasm":     d.scalar("task.wasm"),
		"image":    d.scalar("task.image"),
		"args":     d.readArgs,
		"env":      d.readEnv,
		"realTime": d.scalar("task.realTime"),
	})
}

func (d *draft) readArgs(at place, value *yaml.Node) error {
	at.line = value.Line
	if value.Kind != yaml.SequenceNode {
		return at.wrong("%s stands where a list is needed, such as [--epochs, \"5\"]", kindOf(value))
	}
	for _, item := range value.Content {
		text, err := scalarText(at, item)
		if err != nil {
			return err
		}
		at.line = item.Line
		if err := d.addArg(at, text); err != nil {
			return err
		}
	}
	return nil
}

// readNeeds reads what is needed: single values, and a list of places.
func (d *draft) readNeeds(at place, value *yaml.Node) error {
	readers := d.fields("needs")
	readers["egress"] = d.readEgress
	return d.mapping(at, value, readers)
}

func (d *draft) readEgress(at place, value *yaml.Node) error {
	at.line = value.Line
	if value.Kind != yaml.SequenceNode {
		return at.wrong("%s stands where a list is needed, such as [\"example.org:443\"]", kindOf(value))
	}
	for _, item := range value.Content {
		text, err := scalarText(at, item)
		if err != nil {
			return err
		}
		at.line = item.Line
		if err := d.addEgress(at, text); err != nil {
			return err
		}
	}
	return nil
}

func (d *draft) readEnv(at place, value *yaml.Node) error {
	at.line = value.Line
	if value.Kind != yaml.MappingNode {
		return at.wrong("%s stands where names and values are needed, such as {SEED: \"1\"}", kindOf(value))
	}
	for i := 0; i+1 < len(value.Content); i += 2 {
		key, item := value.Content[i], value.Content[i+1]
		name, err := scalarText(at, key)
		if err != nil {
			return err
		}
		here := at.at(shorten(name), key.Line)
		text, err := scalarText(here, item)
		if err != nil {
			return err
		}
		if err := d.addEnv(here, name, text); err != nil {
			return err
		}
	}
	return nil
}

func (d *draft) readInputs(at place, value *yaml.Node) error {
	at.line = value.Line
	if value.Kind != yaml.SequenceNode {
		return at.wrong("%s stands where a list is needed, such as [{path: data.bin, at: /in/data.bin}]", kindOf(value))
	}
	for i, item := range value.Content {
		here := place{file: at.file, line: item.Line, field: fmt.Sprintf("%s[%d]", at.field, i)}
		var in Input
		err := d.mapping(here, item, map[string]reader{
			"path": textInto(&in.Path), "cid": textInto(&in.CID), "at": textInto(&in.At),
		})
		if err == nil {
			err = d.addInput(here, in)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func textInto(to *string) reader {
	return func(at place, value *yaml.Node) (err error) {
		*to, err = scalarText(at, value)
		if err == nil && *to == "" {
			return at.wrong("it is empty; write a value or leave the line out")
		}
		return err
	}
}
