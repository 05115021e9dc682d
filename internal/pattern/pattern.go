// Package pattern has regular expressions that cost a process nothing until it
// uses them: the big ones take as long to compile as a small program to start.
package pattern

import (
	"regexp"
	"sync"
)

// Lazy compiles an expression at its first use. Like regexp.MustCompile it
// panics where that is none.
func Lazy(expr string) func() *regexp.Regexp {
	return sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(expr) })
}
