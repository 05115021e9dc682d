//go:build linux

package main

import (
	"bytes"
	"encoding/binary"
	"os"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

func logs() map[string]func(facts) outcome {
	return map[string]func(facts) outcome{
		"log-flood":     func(facts) outcome { return pour([]byte("all work and no play makes a dull log\n")) },
		"log-no-lines":  func(facts) outcome { return pour([]byte("x")) },
		"log-frames":    logFrames,
		"log-closed":    logClosed,
		"log-arguments": logArguments,
	}
}

// pour writes as fast as the other end takes it, for 2 s.
func pour(text []byte) outcome {
	block := bytes.Repeat(text, (1<<20)/len(text))
	var written int64
	for began := time.Now(); time.Since(began) < 2*time.Second; {
		n, err := os.Stdout.Write(block)
		written += int64(n)
		if err != nil {
			return contained("after %d MiB: %v", written>>20, err)
		}
	}
	return contained("%d MiB of log were written in 2 s", written>>20)
}

// logFrames writes what looks like the frames in which Docker carries logs, and
// what a terminal would obey.
func logFrames(facts) outcome {
	for _, size := range []uint32{0, 1, 1 << 31, ^uint32(0)} {
		frame := []byte{2, 0, 0, 0, 0, 0, 0, 0}
		binary.BigEndian.PutUint32(frame[4:], size)
		_, _ = os.Stdout.Write(append(frame, "forged\n"...))
		_, _ = os.Stderr.Write(append(frame, "forged\n"...))
	}
	_, _ = os.Stdout.WriteString("\x1b]0;owned\a\x1b[2J\xff\xfe\x00\r\n{\"log\":\"forged\",\"stream\":\"stdout\"}\n")
	return contained("forged frames were written")
}

// logClosed closes its output and lives on for a moment.
func logClosed(facts) outcome {
	for fd := range 3 {
		_ = unix.Close(fd)
	}
	time.Sleep(200 * time.Millisecond)
	return contained("")
}

func logArguments(facts) outcome {
	all := strings.Join(os.Args, " ")
	for range 64 {
		say("%s", all)
	}
	return contained("%d bytes of arguments were echoed", len(all))
}
