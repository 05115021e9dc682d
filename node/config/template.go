package config

import (
	"bytes"
	"fmt"
	"strings"
)

// Template is a config file that says what every key means, each with its
// default behind a #.
func Template() []byte {
	var out bytes.Buffer
	out.WriteString("# How this souk node is set up. Take the # away from a line to change it.\n" +
		"# SOUK_… in the environment wins over this file, and flags win over both:\n" +
		"# provider.price is SOUK_PROVIDER_PRICE. `souk config show` prints what holds.\n")
	section := ""
	for _, f := range fields() {
		prefix, name, nested := strings.Cut(f.key, separator)
		if !nested {
			prefix, name = "", f.key
		}
		if prefix != section {
			section = prefix
			fmt.Fprintf(&out, "\n%s:\n", section)
		}
		indent := ""
		if section != "" {
			indent = "  "
		}
		fmt.Fprintf(&out, "\n%s# %s\n%s#%s: %s\n", indent, f.doc, indent, name, f.example())
	}
	return out.Bytes()
}

// example is the field's default as YAML.
func (f field) example() string {
	switch {
	case f.list:
		return "[" + strings.Join(f.initial, ", ") + "]"
	case f.initial != nil:
		return f.initial[0]
	}
	return `""`
}
