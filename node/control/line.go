package control

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	pool "github.com/libp2p/go-buffer-pool"

	"souk/node/client"
)

// line is one line of a stream: an event, or how the stream ended. A log that
// an event brings isn't in the line: it follows it as it is, Bytes long.
type line[E any] struct {
	Event *E       `json:"event,omitempty"`
	Bytes int      `json:"bytes,omitempty"`
	Error *refusal `json:"error,omitempty"`
	End   bool     `json:"end,omitempty"`
}

// write writes a line and what follows it. An event that can't be written as
// JSON is replaced by an error that says so.
func (l line[E]) write(w io.Writer) error {
	log := l.takeLog()
	l.Bytes = len(log)
	text, err := json.Marshal(l)
	if err != nil {
		log = nil
		if text, err = json.Marshal(line[E]{Error: refusalOf(err)}); err != nil {
			return err
		}
	}
	if _, err := w.Write(append(text, '\n')); err != nil || len(log) == 0 {
		return err
	}
	_, err = w.Write(log)
	return err
}

// takeLog takes the log out of an event that has one.
func (l *line[E]) takeLog() []byte {
	e, ok := any(l.Event).(*client.Event)
	if !ok || e == nil {
		return nil
	}
	bare := *e // the event stays as it is for whoever else has it
	bare.Data = nil
	l.Event, _ = any(&bare).(*E) // which it is, as above
	return e.Data
}

// readLine reads a line and what follows it.
func readLine[E any](in *bufio.Reader) (l line[E], err error) {
	text, err := lineText(in)
	if err != nil {
		return l, err
	}
	if err := json.Unmarshal(text, &l); err != nil {
		return l, strange(err)
	}
	if l.Bytes == 0 {
		return l, nil
	}
	e, ok := any(l.Event).(*client.Event)
	if !ok || e == nil || l.Bytes < 0 || l.Bytes > maxLogData {
		return l, strange(fmt.Errorf("%d bytes after an event that has at most %d", l.Bytes, maxLogData))
	}
	e.Data = pool.Get(l.Bytes)
	_, err = io.ReadFull(in, e.Data)
	return l, err
}

// lineText reads up to the end of a line, which is good until the next read.
func lineText(in *bufio.Reader) ([]byte, error) {
	text, err := in.ReadSlice('\n')
	if !errors.Is(err, bufio.ErrBufferFull) {
		return text, err
	}
	whole := append([]byte(nil), text...)
	for errors.Is(err, bufio.ErrBufferFull) {
		if len(whole) > maxLine {
			return nil, strange(fmt.Errorf("a line of more than %d bytes", maxLine))
		}
		text, err = in.ReadSlice('\n')
		whole = append(whole, text...)
	}
	return whole, err
}

// errStrange: the node said what isn't a line of a stream.
var errStrange = errors.New("the node said what this souk can't read")

func strange(err error) error { return fmt.Errorf("%w: %w", errStrange, err) }
