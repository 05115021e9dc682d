package cuda

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
)

// entry is a kernel that was read from PTX: the subset that this package writes, checked strictly, because
// no compiler is here that would.
type entry struct {
	name   string
	params []param
	shared map[string]uint64 // offsets
	size   uint64            // of shared memory
	slots  map[byte]int      // how many registers of each class ('p', 'r', 'd') are declared
	code   []instruction
}

type param struct {
	name  string
	bytes int
}

type instruction struct {
	text string // for messages
	run  func(*thread)
}

var (
	entryLine  = regexp.MustCompile(`^\.visible \.entry (\w+)\($`)
	paramLine  = regexp.MustCompile(`^\t\.param \.u(32|64) (\w+)(,?)$`)
	regLine    = regexp.MustCompile(`^\t\.reg \.(pred|b32|b64) %(p|r|rd)<(\d+)>;$`)
	sharedLine = regexp.MustCompile(`^\t\.shared \.align 16 \.b8 (\w+)\[(\d+)\];$`)
	labelLine  = regexp.MustCompile(`^(\w+):$`)
	codeLine   = regexp.MustCompile(`^\t(?:@(%p\d+) )?([a-z][a-z0-9.]*)(?: (.*))?;$`)
)

// parse reads a module.
func parse(text string) (map[string]*entry, error) {
	lines := strings.Split(strings.TrimSuffix(text, "\n"), "\n")
	if len(lines) < 4 || strings.Join(lines[:4], "|") != ".version 6.0|.target sm_50|.address_size 64|" {
		return nil, fmt.Errorf("the header is %q", lines[:min(4, len(lines))])
	}
	entries := map[string]*entry{}
	for at := 4; at < len(lines); {
		if lines[at] == "" {
			at++
			continue
		}
		end := at
		for end < len(lines) && lines[end] != "}" {
			end++
		}
		if end == len(lines) {
			return nil, fmt.Errorf("line %d: the brace is never closed", at+1)
		}
		e, err := parseEntry(lines[at:end])
		if err != nil {
			return nil, fmt.Errorf("from line %d: %w", at+1, err)
		}
		if entries[e.name] != nil {
			return nil, fmt.Errorf("%s is there twice", e.name)
		}
		entries[e.name] = e
		at = end + 1
	}
	return entries, nil
}

func parseEntry(lines []string) (*entry, error) {
	first := entryLine.FindStringSubmatch(lines[0])
	if first == nil {
		return nil, fmt.Errorf("%q begins no entry", lines[0])
	}
	e := &entry{name: first[1], shared: map[string]uint64{}, slots: map[byte]int{}}
	at := 1
	for ; at < len(lines); at++ {
		m := paramLine.FindStringSubmatch(lines[at])
		if m == nil {
			break
		}
		bits, _ := strconv.Atoi(m[1])
		e.params = append(e.params, param{m[2], bits / 8})
		if comma := lines[at+1] != ")"; comma != (m[3] == ",") {
			return nil, fmt.Errorf("a comma too many or too few after %s", m[2])
		}
	}
	if at+2 > len(lines) || lines[at] != ")" || lines[at+1] != "{" {
		return nil, fmt.Errorf("%s: the parameters don't end with ) and {", e.name)
	}
	labels := map[string]int{}
	var code []string
	for _, line := range lines[at+2:] {
		if err := e.line(line, labels, &code); err != nil {
			return nil, fmt.Errorf("%s: %w", e.name, err)
		}
	}
	for _, line := range code {
		run, err := e.compile(codeLine.FindStringSubmatch(line), labels)
		if err != nil {
			return nil, fmt.Errorf("%s: %q: %w", e.name, line, err)
		}
		e.code = append(e.code, instruction{line, run})
	}
	if len(code) == 0 || code[len(code)-1] != "\tret;" {
		return nil, fmt.Errorf("%s doesn't end with ret", e.name)
	}
	return e, nil
}

// line takes a declaration, a label or an instruction.
func (e *entry) line(line string, labels map[string]int, code *[]string) error {
	if m := regLine.FindStringSubmatch(line); m != nil {
		if want := map[string]string{"pred": "p", "b32": "r", "b64": "rd"}[m[1]]; want != m[2] || len(*code) > 0 {
			return fmt.Errorf("%q declares registers of another kind, or too late", line)
		}
		e.slots[class(m[2])], _ = strconv.Atoi(m[3])
		return nil
	}
	if m := sharedLine.FindStringSubmatch(line); m != nil {
		bytes, _ := strconv.ParseUint(m[2], 10, 32)
		e.shared[m[1]] = e.size
		e.size += (bytes + 15) / 16 * 16
		return nil
	}
	if m := labelLine.FindStringSubmatch(line); m != nil {
		if _, twice := labels[m[1]]; twice {
			return fmt.Errorf("label %s is there twice", m[1])
		}
		labels[m[1]] = len(*code)
		return nil
	}
	if !codeLine.MatchString(line) {
		return fmt.Errorf("%q is no instruction", line)
	}
	*code = append(*code, line)
	return nil
}

// class is 'd' for "rd" and else the first letter.
func class(prefix string) byte { return prefix[len(prefix)-1] }
