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

// progress is how much of the execution's output was read, and whether any
// came outside an execution.
func (p *process) progress() (seen int64, stray bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.seen, p.stray || p.stderr.Len() > 0
}

// close ends the log, and tells whether all of it could be written.
func (p *process) close() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	l := p.sink
	if l == nil {
		return nil
	}
	p.sink = nil
	if err := l.file.Close(); l.err == nil {
		l.err = err
	}
	return l.err
}

// took moves a piece of output to the log, and gives the log and its size; the
// log is nil for what was written outside an execution.
func (p *process) took(piece []byte) (*logSink, int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.sink == nil {
		p.stray = true
		return nil, 0
	}
	p.seen += int64(len(piece))
	p.sink.write(piece)
	return p.sink, p.sink.written
}

// copyLog moves the guest's output to the log until the guest is gone.
func (p *process) copyLog(s *supervisor, from io.Reader) {
	buf := make([]byte, 64<<10)
	for {
		n, err := from.Read(buf)
		if n > 0 {
			log, size := p.took(buf[:n])
			s.inbox <- func() { s.grew(log, size) }
		}
		if err != nil {
			return
		}
	}
}

// grew notes a log's size and has the nodes told soon.
func (s *supervisor) grew(log *logSink, size int64) {
	if log == nil {
		s.guest.kill()
		return
	}
	if log != s.log { // of an execution that is over
		return
	}
	if size > s.status.Log {
		s.status.Log = size
		if s.logged == nil {
			s.logged = time.After(logEvery)
		}
	}
	s.release()
}
