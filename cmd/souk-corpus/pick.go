package main

import (
	"bufio"
	"cmp"
	"fmt"
	"io"
	"math/bits"
	"slices"
	"strconv"
	"strings"
)

// reach is what runs with an input: blocks of code, each with how often, as a
// power of two.
type reach map[string]bool

// readProfile reads what `go test -coverprofile` writes in its mode count.
func readProfile(r io.Reader) (reach, error) {
	found := reach{}
	lines := bufio.NewScanner(r)
	for lines.Scan() {
		block, count, ok := lastWord(lines.Text())
		if !ok || strings.HasPrefix(block, "mode:") {
			continue
		}
		n, err := strconv.ParseUint(count, 10, 64)
		if err != nil {
			return nil, fmt.Errorf("no line of a coverage profile: %q", lines.Text())
		}
		if n > 0 {
			found[block+" "+strconv.Itoa(bits.Len64(n))] = true
		}
	}
	return found, lines.Err()
}

func lastWord(line string) (before, word string, ok bool) {
	i := strings.LastIndexByte(line, ' ')
	if i < 0 {
		return "", "", false
	}
	return line[:i], line[i+1:], true
}

func (r reach) add(more reach) {
	for what := range more {
		r[what] = true
	}
}

// beyond counts what of r is not in known.
func (r reach) beyond(known reach) (n int) {
	for what := range r {
		if !known[what] {
			n++
		}
	}
	return n
}

// input is one that fuzzing found interesting.
type input struct {
	name    string
	size    int64
	reaches reach
}

// room is what may still be kept of a target.
type room struct {
	files int
	bytes int64
}

// pick chooses inputs that reach what is not known, those first that reach most
// of it, and the smaller of two; known grows by it.
func pick(known reach, found []input, left room) (picked []input) {
	found = slices.Clone(found)
	for left.files > 0 {
		found = slices.DeleteFunc(found, func(i input) bool { return i.size > left.bytes || i.reaches.beyond(known) == 0 })
		if len(found) == 0 {
			return picked
		}
		best := slices.MinFunc(found, func(a, b input) int {
			return cmp.Or(cmp.Compare(b.reaches.beyond(known), a.reaches.beyond(known)), cmp.Compare(a.size, b.size), cmp.Compare(a.name, b.name))
		})
		picked = append(picked, best)
		known.add(best.reaches)
		left.files--
		left.bytes -= best.size
	}
	return picked
}
