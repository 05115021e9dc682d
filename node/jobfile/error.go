package jobfile

import (
	"fmt"
	"strings"
)

// Error is something in a job that can't be meant. Tell the user.
type Error struct {
	File   string // as it was named; empty for flags
	Line   int    // from 1; 0 where no line is to blame
	Field  string // "needs.memory" or "--memory"; empty for the file as a whole
	Reason string // what is wrong and what would be right
}

func (e *Error) Error() string {
	var parts []string
	switch {
	case e.File != "" && e.Line > 0:
		parts = append(parts, fmt.Sprintf("%s:%d", e.File, e.Line))
	case e.File != "":
		parts = append(parts, e.File)
	}
	if e.Field != "" {
		parts = append(parts, e.Field)
	}
	return strings.Join(append(parts, e.Reason), ": ")
}

// place is where a value was written.
type place struct {
	file  string
	line  int
	field string
}

func (p place) wrong(format string, args ...any) error {
	return &Error{File: p.file, Line: p.line, Field: p.field, Reason: fmt.Sprintf(format, args...)}
}

func (p place) at(field string, line int) place {
	if p.field != "" {
		field = p.field + "." + field
	}
	return place{file: p.file, line: line, field: field}
}
