//go:build linux

package main

import (
	"fmt"
	"io"
	"os"
	"time"
)

// logSink is the log of one execution: a file with a cap.
type logSink struct {
	file    *os.File
	limit   int64
	written int64
	cut     bool
	err     error
}

// write appends what still fits, and once the cap is hit a notice. It takes
// everything: a guest never waits for its log.
func (l *logSink) write(p []byte) {
	if l.cut || l.err != nil {
		return
	}
	fits := min(int64(len(p)), l.limit-l.written)
	l.append(p[:fits])
	if fits < int64(len(p)) {
		l.cut = true
		l.append(fmt.Appendf(nil, "\n[souk: log cut, it reached its limit of %d bytes]\n", l.limit))
	}
}

func (l *logSink) append(p []byte) {
	if l.err == nil {
		var n int
		n, l.err = l.file.Write(p)
		l.written += int64(n)
	}
}

func (l *logSink) sync() error {
	if l.file == nil {
		return nil
	}
	if l.err == nil {
		l.err = l.file.Sync()
	}
	return l.err
}

// copyLog moves the guest's output to the log until the guest is gone.
func (p *process) copyLog(s *supervisor, from io.Reader) {
	buf := make([]byte, 64<<10)
	n, err := from.Read(buf)
	select { // output comes after orders, and the log before them
	case p.sink = <-p.log:
	default:
		return
	}
	for err == nil {
		p.sink.write(buf[:n])
		size := p.sink.written
		s.inbox <- func() { s.grew(size) }
		n, err = from.Read(buf)
	}
	size := p.sink.written
	s.inbox <- func() { s.grew(size) }
}

// grew notes the log's size and has the nodes told soon.
func (s *supervisor) grew(size int64) {
	if size != s.status.Log && s.logged == nil {
		s.logged = time.After(logEvery)
	}
	s.status.Log = size
}
