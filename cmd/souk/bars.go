package main

import (
	"fmt"
	"io"

	"github.com/vbauerster/mpb/v8"
	"github.com/vbauerster/mpb/v8/decor"

	"souk/internal/quantity"
	"souk/node/client"
)

// bars shows transfers: one line of a bar for each on a terminal, a line of
// text for each elsewhere.
type bars struct {
	w        io.Writer
	options  []mpb.ContainerOption
	terminal bool
	progress *mpb.Progress // nil while no bar is there
	open     map[transfer]*mpb.Bar
	done     map[transfer]bool
}

// transfer is one thing on its way in one execution. Inputs are told apart by
// their size; that of the outputs is known only at their end.
type transfer struct {
	what    string
	attempt int
	total   int64
}

func transferOf(e client.Event) transfer {
	t := transfer{what: e.What, attempt: e.Attempt}
	if e.What == "input" {
		t.total = e.Total
	}
	return t
}

func newBars(w io.Writer) *bars {
	return &bars{w: w, terminal: isTerminal(w), open: map[transfer]*mpb.Bar{}, done: map[transfer]bool{}}
}

func (b *bars) show(e client.Event) {
	t := transferOf(e)
	if b.done[t] {
		return
	}
	b.done[t] = e.Total > 0 && e.Done >= e.Total
	if !b.terminal {
		transferText(b.w, e)
		return
	}
	if b.progress == nil {
		b.progress = mpb.New(append(b.options, mpb.WithOutput(b.w))...)
	}
	bar := b.open[t]
	if bar == nil {
		bar = b.progress.AddBar(0, // completed by hand, since a total may come late
			mpb.PrependDecorators(decor.Name(e.What, decor.WC{W: 8})), mpb.AppendDecorators(decor.Any(counted)))
		b.open[t] = bar
	}
	bar.SetTotal(max(e.Total, e.Done, 1), false)
	bar.SetCurrent(e.Done)
	if b.done[t] {
		bar.SetTotal(max(e.Total, 1), true)
	}
}

// counted is how far a transfer is, in bytes.
func counted(s decor.Statistics) string {
	if s.Current >= s.Total {
		return bytesText(s.Current)
	}
	return fmt.Sprintf("%s of %s", bytesText(s.Current), bytesText(s.Total))
}

func bytesText(n int64) string {
	if n < 1<<10 {
		return fmt.Sprintf("%d bytes", n)
	}
	return quantity.Human(n)
}

// clear ends all bars, so that text can follow. One that is not full goes
// away and comes back below the text, so that each transfer leaves one line.
func (b *bars) clear() {
	if b.progress == nil {
		return
	}
	for _, bar := range b.open {
		bar.Abort(true)
	}
	b.progress.Wait()
	b.progress, b.open = nil, map[transfer]*mpb.Bar{}
}
