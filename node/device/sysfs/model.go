package sysfs

import (
	"strings"

	"souk/internal/pattern"
)

// Lists that say which card a PCI ID is, where they are installed.
const (
	amdgpuIDs = "usr/share/libdrm/amdgpu.ids" // device, revision, name: exact
	maxList   = 200_000                       // lines that are read of one list
)

var pciIDs = []string{"usr/share/misc/pci.ids", "usr/share/hwdata/pci.ids"}

// maker's names, for a card that nothing else names.
var makers = map[string]string{"1002": "AMD", "8086": "Intel"}

// model is the card's name: AMD's own list knows it best, then the card's own
// memory of it, then the list of all PCI devices where it leaves no choice. A
// card that none of them knows is called after its PCI ID.
func (c card) model() string {
	name := c.listed()
	if name == "" {
		name = plain(c.line("product_name"))
	}
	if name == "" {
		name = c.pciName()
	}
	maker := makers[c.vendor]
	switch {
	case name != "" && maker != "" && !strings.Contains(strings.ToLower(name), strings.ToLower(maker)):
		return maker + " " + name
	case name != "":
		return name
	case maker != "":
		return maker + " " + c.id
	}
	return "PCI " + c.vendor + ":" + c.id
}

// listed finds the card in AMD's list.
func (c card) listed() string {
	if c.vendor != "1002" {
		return ""
	}
	for line := range c.s.lines(amdgpuIDs) {
		parts := strings.SplitN(line, ",", 3)
		if len(parts) == 3 && strings.EqualFold(strings.TrimSpace(parts[0]), c.id) && strings.EqualFold(strings.TrimSpace(parts[1]), c.revision) {
			return plain(parts[2])
		}
	}
	return ""
}

var bracketed = pattern.Lazy(`\[([^\]]+)\]\s*$`)

// pciName finds the card in the list of all PCI devices, which gives the chip
// and, in brackets, the card; where one chip is on many cards it is no name.
func (c card) pciName() string {
	for _, file := range pciIDs {
		vendor := false
		for line := range c.s.lines(file) {
			switch {
			case line == "" || line[0] == '#' || strings.HasPrefix(line, "\t\t"):
			case line[0] != '\t':
				vendor = strings.HasPrefix(line, c.vendor+" ")
			case vendor && strings.HasPrefix(line, "\t"+c.id+" "):
				match := bracketed().FindStringSubmatch(line)
				if match == nil || strings.Contains(match[1], "/") {
					return ""
				}
				return plain(match[1])
			}
		}
	}
	return ""
}

// plain makes one line of printable ASCII of what a card or a list says.
func plain(text string) string {
	text = strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' {
			return ' '
		}
		return r
	}, text)
	words := strings.Fields(text)
	name := strings.Join(words, " ")
	return name[:min(len(name), 64)]
}
