package sysfs

import (
	"bufio"
	"io"
	"strconv"
	"strings"
)

// maxFile bounds what is read of one file: the lists of names are the largest.
const maxFile = 8 << 20

// lines reads a file; one that isn't there has none.
func (s *Source) lines(file string) func(yield func(string) bool) {
	return func(yield func(string) bool) {
		f, err := s.root.Open(file)
		if err != nil {
			return
		}
		defer f.Close()
		scanner := bufio.NewScanner(io.LimitReader(f, maxFile))
		for n := 0; n < maxList && scanner.Scan(); n++ {
			if !yield(scanner.Text()) {
				return
			}
		}
	}
}

// line is a file's first line, "" if it can't be read.
func (s *Source) line(file string) string {
	for line := range s.lines(file) {
		return strings.TrimSpace(line)
	}
	return ""
}

// field is the value of a line such as "DRIVER=amdgpu" or "simd_count 192".
func (s *Source) field(file, name string) string {
	for line := range s.lines(file) {
		if value, ok := strings.CutPrefix(line, name); ok && value != "" && (value[0] == '=' || value[0] == ' ') {
			return strings.TrimSpace(value[1:])
		}
	}
	return ""
}

func (c card) line(name string) string { return c.s.line(c.dir + "/" + name) }

func (c card) number(name string) int64 { return number(c.line(name)) }

// number is 0 for what is none, or negative.
func number(text string) int64 {
	n, err := strconv.ParseInt(strings.TrimSpace(text), 10, 64)
	if err != nil || n < 0 {
		return 0
	}
	return n
}

// hex is "744c" of "0x744C".
func hex(text string) string { return strings.TrimPrefix(strings.ToLower(text), "0x") }

// generation is PCI Express's, of a link's speed such as "16.0 GT/s PCIe".
func generation(speed string) int {
	rate, _, _ := strings.Cut(speed, " ")
	return map[string]int{"2.5": 1, "5.0": 2, "5": 2, "8.0": 3, "8": 3, "16.0": 4, "16": 4, "32.0": 5, "32": 5, "64.0": 6, "64": 6}[rate]
}
