// Command guest is the program that souk-bench runs as a WASM job; its first
// argument says what it does. It is built for wasip1.
package main

import (
	"bufio"
	"crypto/sha256"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"
)

var tasks = map[string]func(n int){
	"sha256":   hash,
	"matrix":   multiply,
	"xorshift": shift,
	"spin":     func(int) { spin() },
	"lines":    lines,
	"stamps":   stamps,
}

// sum is where results go, so that no compiler leaves out what makes them.
var sum uint64

func main() {
	if len(os.Args) < 3 || tasks[os.Args[1]] == nil {
		fmt.Fprintln(os.Stderr, "usage: guest TASK N")
		os.Exit(2)
	}
	n, err := strconv.Atoi(os.Args[2])
	if err != nil {
		fmt.Fprintln(os.Stderr, "guest:", err)
		os.Exit(2)
	}
	tasks[os.Args[1]](n)
	fmt.Fprintln(os.Stderr, sum)
}

// hash hashes n MiB.
func hash(n int) {
	block := make([]byte, 1<<20)
	h := sha256.New()
	for range n {
		h.Write(block)
	}
	sum = uint64(h.Sum(nil)[0])
}

// multiply makes n products of two matrices of order 128.
func multiply(n int) {
	const order = 128
	var a, b, c [order][order]float64
	for i := range order {
		for j := range order {
			a[i][j], b[i][j] = float64(i*j%7), float64((i+j)%5)
		}
	}
	for range n {
		for i := range order {
			for k := range order {
				x := a[i][k]
				for j := range order {
					c[i][j] += x * b[k][j]
				}
			}
		}
	}
	sum = uint64(c[5][7])
}

// shift makes n million numbers.
func shift(n int) {
	x := uint64(88172645463325252)
	for range n * 1_000_000 {
		x ^= x << 13
		x ^= x >> 7
		x ^= x << 17
	}
	sum = x
}

func spin() {
	for {
		sum++
	}
}

// lines writes n lines of 100 bytes, by blocks as a C program does to a file.
func lines(n int) {
	out := bufio.NewWriterSize(os.Stdout, 32<<10)
	line := strings.Repeat("x", 99) + "\n"
	for range n {
		_, _ = out.WriteString(line)
	}
	_ = out.Flush()
}

// stamps writes n lines, each with the time at which it was written, in ns.
func stamps(n int) {
	for range n {
		time.Sleep(100 * time.Millisecond)
		fmt.Println(time.Now().UnixNano())
	}
}
