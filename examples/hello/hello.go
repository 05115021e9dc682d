// Command hello is the smallest job that uses all that a job has: arguments, environment, output and exit code.
//
// It prints its arguments and its environment in order, writes what it printed to hello.txt in the folder that
// the variable OUT names (/out if unset), and exits with 0, or with 1 if the file can't be written.
package main

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

func main() {
	if err := hello(os.Args[1:], os.Environ(), os.Stdout); err != nil {
		_, _ = fmt.Fprintf(os.Stderr, "hello: %v\n", err)
		os.Exit(1)
	}
}

func hello(args, env []string, stdout io.Writer) error {
	text := greeting(args, env)
	_, _ = io.WriteString(stdout, text)
	path := filepath.Join(folder(env), "hello.txt")
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return fmt.Errorf("can't make the output folder: %w", err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		return fmt.Errorf("can't write the greeting: %w", err)
	}
	_, _ = fmt.Fprintf(stdout, "wrote %s\n", path)
	return nil
}

func greeting(args, env []string) string {
	var b strings.Builder
	b.WriteString("hello from the provider\n")
	for i, a := range args {
		fmt.Fprintf(&b, "argument %d: %q\n", i+1, a)
	}
	for _, e := range slices.Sorted(slices.Values(env)) {
		fmt.Fprintf(&b, "environment: %s\n", e)
	}
	return b.String()
}

func folder(env []string) string {
	for _, e := range env {
		if out, ok := strings.CutPrefix(e, "OUT="); ok && out != "" {
			return out
		}
	}
	return "/out"
}
