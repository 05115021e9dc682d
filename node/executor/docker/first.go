package docker

import (
	"context"
	"crypto/rand"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"souk/node/executor/docker/pid1"
)

const (
	aliveDir = "alive" // in Config.Dir, and in each container
	signFile = "sign"  // in it: its time of change is this node's sign of life
	initFile = "init"  // souk-init, as a container has it

	defaultOutlast = 10 * time.Minute
	signEvery      = 15 * time.Second
	signsMissed    = 8 // at least, of a node that is taken to be gone
	// spareTime is how much longer than its limit a job may run if nobody but its
	// container's first process counts: a node that is there ends it on time.
	spareTime = 5 * time.Second
)

// firstCapabilities are what souk-init has for as long as it takes to start the
// job without them and to become somebody else itself.
var firstCapabilities = []string{"CHOWN", "KILL", "SETGID", "SETPCAP", "SETUID"}

// first is how a container begins: with souk-init, in a folder whose name no image and
// no job could know, so that nothing of theirs can take its place.
type first struct {
	program string // souk-init, on this machine
	alive   string // the folder with the sign, on this machine
	at      string // the folder, in the container
	gone    time.Duration
}

func (e *Executor) first(program string) first {
	return first{program: program, alive: filepath.Dir(e.life.path), at: "/.souk-" + rand.Text(), gone: e.cfg.Outlast}
}

func (f first) mounts() []Mount {
	return []Mount{{f.program, f.at + "/" + initFile}, {f.alive, f.at + "/" + aliveDir}}
}

// entrypoint goes before everything else that is run.
func (f first) entrypoint(limit time.Duration) []string {
	orders := pid1.Orders{Limit: limit + spareTime, Gone: f.gone, Sign: f.at + "/" + aliveDir + "/" + signFile}
	return append([]string{f.at + "/" + initFile}, orders.Args()...)
}

// life is the sign that this node gives to its containers while it lives.
type life struct {
	path   string
	before time.Time // the last sign of a former process; zero: there was none
	since  time.Time
	end    context.CancelFunc
	ended  chan struct{}
}

// sign gives the first sign, and then more until stop. A sign that can't be given is
// told to warn.
func sign(dir string, outlast time.Duration, warn func(error)) (*life, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	if err := os.Chmod(dir, 0o755); err != nil { // whatever the umask is
		return nil, err
	}
	l := &life{path: filepath.Join(dir, signFile), since: time.Now(), ended: make(chan struct{})}
	switch info, err := os.Stat(l.path); {
	case err == nil:
		l.before = info.ModTime()
	case !errors.Is(err, fs.ErrNotExist):
		return nil, err
	}
	if err := l.give(); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(context.Background())
	l.end = cancel
	go func() {
		defer close(l.ended)
		l.keep(ctx, min(signEvery, outlast/signsMissed), warn)
	}()
	return l, nil
}

// give makes the file anew where somebody removed it, with its folder's old mounts
// in mind: what containers see is the folder.
func (l *life) give() error {
	f, err := os.OpenFile(l.path, os.O_CREATE|os.O_WRONLY, 0o644) //nolint:gosec // for every user of a container to look at
	if err != nil {
		return err
	}
	now := time.Now()
	return errors.Join(f.Close(), os.Chtimes(l.path, now, now))
}

func (l *life) keep(ctx context.Context, every time.Duration, warn func(error)) {
	t := time.NewTicker(every)
	defer t.Stop()
	for {
		select {
		case <-t.C:
			if err := l.give(); err != nil {
				warn(err)
			}
		case <-ctx.Done():
			return
		}
	}
}

func (l *life) stop() {
	l.end()
	<-l.ended
}

// abandoned says whether a container that ended at a time did so because its node
// had been away for longer than outlast.
func (l *life) abandoned(ended time.Time, outlast time.Duration) bool {
	return !l.before.IsZero() && ended.Before(l.since) && ended.Sub(l.before) >= outlast
}
