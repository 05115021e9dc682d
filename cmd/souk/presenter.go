package main

import (
	"fmt"
	"io"
	"strings"
	"time"

	pool "github.com/libp2p/go-buffer-pool"

	"souk/node/client"
)

// presenter shows a job as it goes.
type presenter interface {
	event(e client.Event) error
	note(sentence string)
	hint(sentence string) // for people only
	outputs(job, dir string)
	close()
}

func (a *app) presenter() presenter {
	if a.json {
		return &jsonPresenter{a}
	}
	return &textPresenter{a: a, bars: newBars(a.err)}
}

// jsonPresenter prints every event as a line.
type jsonPresenter struct{ a *app }

func (p *jsonPresenter) event(e client.Event) error { return p.a.line(e) }
func (p *jsonPresenter) note(s string)              { fmt.Fprintln(p.a.err, s) }
func (p *jsonPresenter) hint(string)                {}
func (p *jsonPresenter) close()                     {}

func (p *jsonPresenter) outputs(job, dir string) {
	_ = p.a.line(map[string]any{"event": "outputs", "at": time.Now(), "job": job, "dir": dir}) // the next line fails too, and is heard
}

// textPresenter writes the job's log to standard output, and all else to
// standard error.
type textPresenter struct {
	a       *app
	bars    *bars
	midline bool   // the log's last line has not ended yet
	ended   string // why the last execution ended
	state   string // the execution's, as last said
	said    string // how far it was
	saidAt  time.Time
	live    bool // the last line on standard error is written over by the next
}

// stateEvery is how often the progress within a state is a line of its own
// where no line can be written over.
const stateEvery = 10 * time.Second

// progress shows how far an execution is within its state.
func (p *textPresenter) progress(e client.Event) {
	again := e.State == p.state || e.Text == p.said
	p.state, p.said = e.State, e.Text
	switch {
	case e.Text == "":
	case isTerminal(p.a.err):
		p.clear()
		fmt.Fprint(p.a.err, e.Text)
		p.live = true
	case !again || time.Since(p.saidAt) >= stateEvery:
		p.saidAt = time.Now()
		p.note(e.Text)
	}
}

func (p *textPresenter) event(e client.Event) error {
	if e.Kind == client.Transfer {
		p.wipe()
		p.bars.show(e)
		return nil
	}
	if e.Kind == client.StateIs {
		p.progress(e)
		return nil
	}
	if e.Kind == client.LogData {
		p.bars.clear()
		p.wipe()
		p.midline = len(e.Data) > 0 && e.Data[len(e.Data)-1] != '\n'
		_, err := p.a.out.Write(e.Data)
		pool.Put(e.Data)
		return err
	}
	if e.Kind == client.Considered && e.Plan != nil && e.Attempt > 1 {
		p.clear()
		writeConsidered(p.a.err, *e.Plan, "worst case of what is left to do: "+usd(e.Plan.WorstCost)+" USD")
		return nil
	}
	if e.Kind == client.Ended {
		p.ended = e.Text
	} else if e.Kind == client.Finished && e.Text == p.ended {
		e.Text = "" // it was just said
	}
	if text := eventText(e); text != "" {
		p.note(text)
	}
	return nil
}

func (p *textPresenter) note(s string) {
	p.clear()
	fmt.Fprintln(p.a.err, s)
}

// clear makes room for a line on standard error.
func (p *textPresenter) clear() {
	p.bars.clear()
	p.wipe()
	if p.midline && isTerminal(p.a.out) && isTerminal(p.a.err) {
		fmt.Fprintln(p.a.err)
		p.midline = false
	}
}

// wipe takes the line away that was to be written over.
func (p *textPresenter) wipe() {
	if p.live {
		fmt.Fprint(p.a.err, "\r\x1b[K")
		p.live = false
	}
}

func (p *textPresenter) outputs(_, dir string) { p.note("outputs are in " + dir) }
func (p *textPresenter) hint(s string)         { p.note("hint: " + s) }
func (p *textPresenter) close()                { p.bars.clear(); p.wipe() }

// eventText is the sentence for an event, "" for one that needs none.
func eventText(e client.Event) string {
	switch e.Kind {
	case client.Leased:
		return leasedText(e)
	case client.StateIs, client.Notice:
		return e.Text
	case client.Ended:
		text := fmt.Sprintf("execution %d ended: %s", e.Attempt, endText(e.Outcome, e.Text))
		if e.Charged != nil {
			text += fmt.Sprintf("; it cost %s USD", usd(*e.Charged))
		}
		return text
	case client.Finished:
		return finishedText(e)
	}
	return "" // placed and considered were shown, ticks are in the receipts
}

func leasedText(e client.Event) string {
	return fmt.Sprintf("execution %d on %s at %s, lease %s", e.Attempt, short(e.Peer), perHour(e.PricePerHour), short(e.Lease))
}

// endText is an outcome with its reason, which may begin with the outcome.
func endText(outcome, reason string) string {
	if rest, ok := strings.CutPrefix(reason, outcome+": "); ok && strings.HasPrefix(rest, outcome) {
		return rest
	}
	if strings.HasPrefix(reason, outcome) {
		return reason
	}
	return withReason(outcome, reason)
}

func finishedText(e client.Event) string {
	text := "done"
	switch {
	case e.Source == client.SourceSouk && e.Code == string(client.Cancelled):
		text = e.Code
	case e.Source == client.SourceSouk:
		text = "failed"
		if e.Code != "" {
			text += " (" + e.Code + ")"
		}
	}
	if e.Exit != nil {
		text += fmt.Sprintf(", exit code %d", *e.Exit)
	}
	if e.Spent != nil {
		text += fmt.Sprintf(", spent %s USD", usd(*e.Spent))
	}
	return withReason(text, e.Text)
}

func withReason(text, reason string) string {
	if reason == "" {
		return text
	}
	return text + ": " + reason
}

// transferText is what stands where no bar can.
func transferText(w io.Writer, e client.Event) {
	if e.Total > 0 && e.Done >= e.Total {
		fmt.Fprintf(w, "%s: %s transferred\n", e.What, bytesText(e.Total))
	}
}
