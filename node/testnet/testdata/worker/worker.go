// Command worker is the job of the testnet's tests. It prints numbered lines
// for a while, writes a file and exits with a given code.
//
//	worker -for 5s -exit 7       real time, which only passes with --real-time
//	worker -rounds 100           work for the processor instead, about 20 ms a round
//	worker -sum /in/data         prints how long a file is, and its checksum
package main

import (
	"flag"
	"fmt"
	"hash/crc32"
	"os"
	"time"
)

const (
	every = 200 * time.Millisecond // between two lines
	work  = 20_000_000             // steps of a round
)

func main() {
	span := flag.Duration("for", 0, "how long to go on")
	rounds := flag.Int("rounds", 0, "how many rounds to work")
	exit := flag.Int("exit", 0, "exit code")
	sum := flag.String("sum", "", "file to read")
	out := flag.String("out", "/out", "folder to write to; empty: none")
	flag.Parse()
	if err := run(*span, *rounds, *sum, *out); err != nil {
		fmt.Fprintln(os.Stderr, "worker:", err)
		os.Exit(99)
	}
	os.Exit(*exit)
}

func run(span time.Duration, rounds int, sum, out string) error {
	lines, x := 0, uint64(1)
	if err := write(out, lines, x); err != nil { // for those that don't wait for the end
		return err
	}
	for end := time.Now().Add(span); time.Now().Before(end); time.Sleep(every) {
		lines++
		fmt.Println("line", lines)
	}
	for range rounds {
		for range work {
			x ^= x << 13
			x ^= x >> 7
			x ^= x << 17
		}
		lines++
		fmt.Println("line", lines)
	}
	if sum != "" {
		data, err := os.ReadFile(sum)
		if err != nil {
			return err
		}
		fmt.Printf("%d bytes, checksum %08x\n", len(data), crc32.ChecksumIEEE(data))
	}
	return write(out, lines, x)
}

func write(out string, lines int, x uint64) error {
	if out == "" {
		return nil
	}
	if err := os.MkdirAll(out, 0o755); err != nil {
		return err
	}
	return os.WriteFile(out+"/result.txt", fmt.Appendf(nil, "%d lines, %x\n", lines, x), 0o644)
}
