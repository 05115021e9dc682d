package main

import (
	"bytes"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/vbauerster/mpb/v8"

	"souk/node/client"
)

// redraw are the sequences with which bars are drawn anew: so many lines up,
// and what is below the cursor wiped.
var redraw = regexp.MustCompile(`^\x1b\[([0-9]*)([AJ])`)

// screen is what a terminal shows after text was written to it.
func screen(t *testing.T, text string) (lines []string) {
	row := 0
	for text != "" {
		if m := redraw.FindStringSubmatch(text); m != nil {
			if m[2] == "A" {
				up, err := strconv.Atoi("0" + m[1])
				require.NoError(t, err)
				row = max(row-max(up, 1), 0)
			} else {
				lines = lines[:min(row, len(lines))]
			}
			text = text[len(m[0]):]
			continue
		}
		require.NotEqual(t, byte(0x1b), text[0], "an unknown sequence: %q", text[:min(len(text), 8)])
		line, rest, _ := strings.Cut(text, "\n")
		if next := strings.IndexByte(line, 0x1b); next > 0 {
			line, rest = line[:next], text[next:]
		} else {
			row++
		}
		lines = append(lines, strings.TrimRight(line, "\r"))
		text = rest
	}
	return lines
}

func TestATransferLeavesOneLine(t *testing.T) {
	var out bytes.Buffer
	b := newBars(&out)
	b.terminal, b.options = true, []mpb.ContainerOption{mpb.WithAutoRefresh(), mpb.WithWidth(60)}
	text := func(s string) {
		b.clear()
		fmt.Fprintln(&out, s)
	}
	move := func(what string, done, total int64) {
		b.show(client.Event{Kind: client.Transfer, What: what, Attempt: 1, Done: done, Total: total})
	}
	move("module", 1<<20, 4<<20)
	text("waiting for inputs")
	move("module", 2<<20, 4<<20)
	move("module", 4<<20, 4<<20)
	move("module", 4<<20, 4<<20)
	move("input", 300, 300)
	move("input", 100, 200)
	move("input", 200, 200)
	text("running")
	move("module", 4<<20, 4<<20)
	move("output", 5000, 0)
	text("still running")
	move("output", 9000, 0)
	move("output", 9216, 9216)
	text("done")

	var seen []string
	for _, line := range screen(t, out.String()) {
		words := strings.Fields(regexp.MustCompile(`\[.*\]`).ReplaceAllString(line, ""))
		seen = append(seen, strings.Join(words, " "))
	}
	require.Equal(t, []string{
		"waiting for inputs", "module 4MiB", "input 300 bytes", "input 200 bytes", "running", "still running", "output 9KiB", "done",
	}, seen)
}
