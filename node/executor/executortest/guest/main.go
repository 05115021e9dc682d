// Command guest is the program that the conformance suite has executors run;
// its first argument says what it does. It is small because it is compiled
// and run many times.
package main

import (
	"crypto/rand"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

var modes = map[string]func(args []string){
	"exit":  func(args []string) { os.Exit(number(args[0])) },
	"show":  show,
	"copy":  transfer,
	"now":   now,
	"lines": lines,
	"tick":  tick,
	"spin":  spin,
	"sleep": func(args []string) { time.Sleep(time.Duration(number(args[0])) * time.Millisecond) },
	"alloc": alloc,
	"fill":  fill,
	"flood": flood,
	"paths": paths,
	"trap":  trap,
	"work":  work,
}

func main() {
	mode, ok := modes[os.Args[1]]
	if !ok {
		os.Exit(99)
	}
	mode(os.Args[2:])
}

func number(s string) int {
	n, err := strconv.Atoi(s)
	check(err)
	return n
}

func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "guest:", err)
		os.Exit(98)
	}
}

// show prints all that the guest was given.
func show([]string) {
	fmt.Printf("args %q\n", os.Args[2:])
	for _, pair := range os.Environ() {
		fmt.Println("env", pair)
	}
	fmt.Fprintln(os.Stderr, "to stderr")
}

// transfer writes what it reads at the first path to the second.
func transfer(args []string) {
	raw, err := os.ReadFile(args[0])
	check(err)
	check(os.MkdirAll(filepath.Dir(args[1]), 0o755))
	check(os.WriteFile(args[1], raw, 0o644))
}

// now writes everything that could differ between two runs.
func now(args []string) {
	var b strings.Builder
	random := make([]byte, 16)
	_, err := rand.Read(random)
	check(err)
	begin := time.Now()
	time.Sleep(300 * time.Millisecond)
	fmt.Fprintf(&b, "%x %v %v\n", random, begin.UnixNano(), time.Since(begin))
	for i := range 20 {
		check(os.WriteFile(filepath.Join(args[0], fmt.Sprintf("f%d", (i*7)%20)), nil, 0o644))
	}
	check(filepath.Walk("/", func(path string, info os.FileInfo, err error) error {
		if path == "/proc" || path == "/sys" || path == "/dev" { // the kernel's
			return filepath.SkipDir
		}
		check(err)
		fmt.Fprintln(&b, path, info.Mode(), info.Size(), info.ModTime().UnixNano())
		return nil
	}))
	check(os.WriteFile(filepath.Join(args[0], "now"), []byte(b.String()), 0o644))
}

func lines(args []string) {
	for i := range number(args[0]) {
		fmt.Println("line", i)
	}
}

// tick prints a line every 20 ms for as long as it may.
func tick([]string) {
	for i := 0; ; i++ {
		fmt.Println("tick", i)
		time.Sleep(20 * time.Millisecond)
	}
}

func spin([]string) {
	fmt.Println("spinning")
	for i := 1; i != 0; i += 2 {
	}
}

var kept [][]byte

// alloc takes memory, MiB by MiB.
func alloc(args []string) {
	for range number(args[0]) {
		block := make([]byte, 1<<20)
		for i := 0; i < len(block); i += 4096 {
			block[i] = 1
		}
		kept = append(kept, block)
	}
	fmt.Println("allocated", len(kept))
}

// fill writes files of 1 MiB to the folder, however often that fails.
func fill(args []string) {
	block := make([]byte, 1<<20)
	for i := range number(args[1]) {
		_ = os.WriteFile(filepath.Join(args[0], strconv.Itoa(i)), block, 0o644)
	}
}

func flood(args []string) {
	line := []byte(strings.Repeat("x", 1023) + "\n")
	for range number(args[0]) {
		_, _ = os.Stdout.Write(line)
	}
}

// paths tries to leave its folders, and prints each success.
func paths(args []string) {
	out := args[0]
	for _, target := range []string{"/etc/passwd", "../../etc/passwd", "../log", "../spec.json"} {
		link := filepath.Join(out, "link")
		if os.Symlink(target, link) == nil {
			fmt.Println("made a link to", target)
		}
		if os.Link(target, link+"2") == nil {
			fmt.Println("made a hard link to", target)
		}
		for _, p := range []string{target, link, out + "/" + target, out + "/../" + target, "/../" + target} {
			if raw, err := os.ReadFile(p); err == nil {
				fmt.Println("read", p, len(raw))
			}
		}
	}
	for _, p := range []string{"/new", "/in/new", "/in/file", out + "/../new", "../new", "/../new", "/" + strings.Repeat("../", 20) + "tmp/new"} {
		if os.WriteFile(p, []byte("x"), 0o644) == nil {
			fmt.Println("wrote", p)
		}
	}
	if os.Rename("/in/file", out+"/file") == nil || os.Rename(out, "/elsewhere") == nil {
		fmt.Println("moved")
	}
	fmt.Println("tried")
}

func trap([]string) { descend(1) }

func descend(n int) int {
	var pad [1024]byte
	pad[n%1024] = byte(n)
	return descend(n+1) + int(pad[(n+1)%1024])
}

// work is a fixed amount of computing.
func work(args []string) {
	x := uint32(1)
	for range number(args[0]) {
		for range 1_000_000 {
			x ^= x << 13
			x ^= x >> 17
			x ^= x << 5
		}
	}
	fmt.Println(x)
}
