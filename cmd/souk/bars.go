package main

import (
	"io"

	"github.com/vbauerster/mpb/v8"
	"github.com/vbauerster/mpb/v8/decor"

	"souk/node/client"
)

// bars shows transfers: bars on a terminal, a line for each elsewhere.
type bars struct {
	w        io.Writer
	terminal bool
	progress *mpb.Progress // nil while no bar is there
	open     map[transfer]*mpb.Bar
	done     map[transfer]bool
}

// transfer is one thing on its way in one execution.
type transfer struct {
	what    string
	attempt int
}

func newBars(w io.Writer) *bars {
	return &bars{w: w, terminal: isTerminal(w), open: map[transfer]*mpb.Bar{}, done: map[transfer]bool{}}
}

func (b *bars) show(e client.Event) {
	t := transfer{e.What, e.Attempt}
	if b.done[t] {
		return
	}
	b.done[t] = e.Total > 0 && e.Done >= e.Total
	if !b.terminal {
		transferText(b.w, e)
		return
	}
	if b.progress == nil {
		b.progress = mpb.New(mpb.WithOutput(b.w))
	}
	bar := b.open[t]
	if bar == nil {
		bar = b.progress.AddBar(max(e.Total, 1),
			mpb.PrependDecorators(decor.Name(e.What, decor.WC{W: 8})),
			mpb.AppendDecorators(decor.CountersKibiByte("% .1f / % .1f")))
		b.open[t] = bar
	}
	bar.SetTotal(max(e.Total, 1), false)
	bar.SetCurrent(e.Done)
	if b.done[t] {
		bar.SetTotal(-1, true)
	}
}

// clear ends all bars, so that text can follow.
func (b *bars) clear() {
	if b.progress == nil {
		return
	}
	for _, bar := range b.open {
		bar.Abort(false)
	}
	b.progress.Wait()
	b.progress, b.open = nil, map[transfer]*mpb.Bar{}
}
