package docker

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
)

// journal is the log of one execution on disk: at most limit bytes, then a
// notice. It knows how far it is in the daemon's own log, so that a node that
// was killed goes on where the file ends: before bytes are written, a mark says
// at which offset of the file a message begins, and by which time the daemon
// knows that message.
type journal struct {
	path, markPath string
	limit          int64

	mu      sync.Mutex
	file    *os.File
	mark    *os.File
	at      position // as on disk
	length  int64    // bytes in the file
	changed chan struct{}
	ended   bool
}

// position names a place in both logs.
type position struct {
	offset int64  // of the file
	time   string // of the daemon's message that begins there; empty is the begin
}

const markFormat = "%020d %-40s\n"

func newJournal(dir string, limit int64) *journal {
	return &journal{path: filepath.Join(dir, logFile), markPath: filepath.Join(dir, markFile), limit: limit, changed: make(chan struct{})}
}

// open makes the files, or takes up those that a former process left.
func (j *journal) open() error {
	j.mu.Lock()
	defer j.mu.Unlock()
	file, err := os.OpenFile(j.path, os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	mark, err := os.OpenFile(j.markPath, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		file.Close()
		return err
	}
	info, err := file.Stat()
	if err != nil {
		file.Close()
		mark.Close()
		return err
	}
	j.file, j.mark, j.length = file, mark, info.Size()
	raw := make([]byte, len(fmt.Sprintf(markFormat, 0, "")))
	if n, _ := mark.ReadAt(raw, 0); n == len(raw) { // what is shorter was never there
		at := position{}
		if _, err := fmt.Sscanf(string(raw), "%d %s", &at.offset, &at.time); err == nil && at.offset <= j.length {
			j.at = at
		}
	}
	return nil
}

func (j *journal) position() (at position, length int64) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.at, j.length
}

// append writes bytes, of which a message with the time begins at the first
// where the time isn't empty. It takes no more once the limit is reached, and
// then says so.
func (j *journal) append(p []byte, time string) (full bool, err error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.file == nil {
		return false, errors.New("the log is closed")
	}
	if time != "" && j.length < j.limit {
		j.at = position{j.length, time}
		if _, err := j.mark.WriteAt(fmt.Appendf(nil, markFormat, j.at.offset, time), 0); err != nil {
			return false, err
		}
	}
	if fits := j.limit - j.length; int64(len(p)) <= fits {
		err = j.write(p)
	} else {
		err = errors.Join(j.write(p[:max(fits, 0)]), j.cut())
	}
	j.wake()
	return j.length > j.limit, err
}

func (j *journal) write(p []byte) error {
	n, err := j.file.WriteAt(p, j.length)
	j.length += int64(n)
	return err
}

// cut writes the notice, or what a crash left out of it.
func (j *journal) cut() error {
	notice := fmt.Sprintf("\n[souk: log cut, it reached its limit of %d bytes]\n", j.limit)
	done := min(j.length-j.limit, int64(len(notice)))
	return j.write([]byte(notice[done:]))
}

// resume completes a notice, and says whether the log is full.
func (j *journal) resume() (full bool, err error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.length <= j.limit {
		return false, nil
	}
	return true, j.cut()
}

func (j *journal) size() int64 {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.length
}

// wake tells all who wait for a change; j.mu is held.
func (j *journal) wake() {
	close(j.changed)
	j.changed = make(chan struct{})
}

// finish says that nothing more will come.
func (j *journal) finish() {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.ended = true
	j.wake()
}

func (j *journal) close() {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.file != nil {
		j.file.Close()
		j.mark.Close()
		j.file, j.mark = nil, nil
	}
}

// lostNotice is put where the daemon has thrown away what this node hasn't read.
func lostNotice(since string) string {
	return fmt.Sprintf("\n[souk: the log after %s was lost while the node was away]\n", strings.TrimSpace(since))
}
