// Command count is the program of the container example: it counts the words
// of its input, says so once a second for as long as it was told, and leaves
// the number in /out. It needs no other file, so its image is FROM scratch.
package main

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"time"
)

func main() {
	in := flag.String("in", "/in/words.txt", "file whose words are counted")
	out := flag.String("out", "/out/count.txt", "file for the number")
	seconds := flag.Int("seconds", 1, "how long to say it")
	code := flag.Int("exit", 0, "exit code")
	flag.Parse()
	text, err := os.ReadFile(*in)
	if err != nil {
		fmt.Fprintln(os.Stderr, "count:", err)
		os.Exit(1)
	}
	words := len(bytes.Fields(text))
	for i := range *seconds {
		fmt.Printf("%d: %d words\n", i+1, words)
		time.Sleep(time.Second)
	}
	if err := os.WriteFile(*out, fmt.Appendln(nil, words), 0o644); err != nil { //nolint:gosec // for whoever reads it
		fmt.Fprintln(os.Stderr, "count:", err)
		os.Exit(1)
	}
	os.Exit(*code)
}
