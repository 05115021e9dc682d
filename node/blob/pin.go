package blob

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strconv"
	"strings"
	"time"

	"github.com/ipfs/go-cid"
)

// pinGrain is what ends of pins are rounded up to: those who pin one root again
// and again, as for each job with one module, wait for the disk once a minute.
const pinGrain = time.Minute

// Pin keeps root and all that it reaches from Collect until the given time,
// or up to pinGrain longer, durably. A pin never gets shorter: the later end holds, so that two leases
// may pin one root. Root need not be there yet, nor be complete.
func (s *Space) Pin(root cid.Cid, until time.Time) error {
	if err := CheckCID(root); err != nil {
		return err
	}
	until = until.Add(pinGrain - 1).Truncate(pinGrain)
	s.mu.Lock()
	defer s.mu.Unlock()
	old, pinned := s.pins[root]
	if pinned && !until.After(old) {
		return nil
	}
	if err := s.writePin(root, until); err != nil {
		return fmt.Errorf("pin %s: %w", root, err)
	}
	s.pins[root] = until
	if pinned {
		// A shorter pin that stays beside the new one changes nothing.
		_ = s.fs().Remove(s.pinPath(root, old))
	}
	return nil
}

// Unpin ends the pin of root, whoever set it. A root that has none is no error.
func (s *Space) Unpin(root cid.Cid) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, ok := s.pins[root]; !ok {
		return nil
	}
	return s.unpin(root)
}

// Pinned is when the pin of root ends, and whether there is one.
func (s *Space) Pinned(root cid.Cid) (time.Time, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	until, ok := s.pins[root]
	return until, ok
}

// unpin removes every pin file of root. The caller holds mu.
func (s *Space) unpin(root cid.Cid) error {
	names, err := s.fs().List(s.pinned)
	if err != nil {
		return err
	}
	for _, name := range names {
		if c, _, ok := parsePin(name); !ok || c != root {
			continue
		}
		if err := s.fs().Remove(s.fs().PathJoin(s.pinned, name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("unpin %s: %w", root, err)
		}
	}
	delete(s.pins, root)
	return syncDir(s.fs(), s.pinned)
}

// A pin is an empty file; all that it says is in its name, so it can't be half written.
func (s *Space) pinPath(root cid.Cid, until time.Time) string {
	return s.fs().PathJoin(s.pinned, root.String()+"."+strconv.FormatInt(until.UnixMilli(), 10))
}

func parsePin(name string) (root cid.Cid, until time.Time, ok bool) {
	id, end, _ := strings.Cut(name, ".")
	c, err := cid.Decode(id)
	if err != nil || CheckCID(c) != nil {
		return cid.Undef, time.Time{}, false
	}
	millis, err := strconv.ParseInt(end, 10, 64)
	return c, time.UnixMilli(millis), err == nil
}

func (s *Space) writePin(root cid.Cid, until time.Time) error {
	f, err := s.fs().Create(s.pinPath(root, until), diskWrites)
	if err != nil {
		return err
	}
	if err := errors.Join(f.Sync(), f.Close()); err != nil {
		return err
	}
	return syncDir(s.fs(), s.pinned)
}

func (s *Space) loadPins() error {
	names, err := s.fs().List(s.pinned)
	if err != nil {
		return err
	}
	s.pins = make(map[cid.Cid]time.Time, len(names))
	for _, name := range names {
		if root, until, ok := parsePin(name); ok && until.After(s.pins[root]) {
			s.pins[root] = until
		}
	}
	return nil
}

// Collect ends the pins that are over at now and deletes the blocks that no pin
// reaches and no running AddPath or Receiver uses: whole packs of them, and of
// others once a quarter of a pack is such blocks. It returns the bytes of disk freed. The space takes no new blocks meanwhile.
func (s *Space) Collect(ctx context.Context, now time.Time) (int64, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for root, until := range s.pins {
		if until.After(now) {
			continue
		}
		if err := s.unpin(root); err != nil {
			return 0, err
		}
	}
	live, err := s.mark(ctx)
	if err != nil {
		return 0, err
	}
	return s.sweep(ctx, live)
}

// mark finds every block that a pin reaches; an incomplete DAG is followed as far as it goes.
func (s *Space) mark(ctx context.Context) (map[cid.Cid]struct{}, error) {
	live := map[cid.Cid]struct{}{}
	var todo []cid.Cid
	for root := range s.pins {
		todo = append(todo, root)
	}
	for len(todo) > 0 {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		c := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		if _, seen := live[c]; seen {
			continue
		}
		live[c] = struct{}{}
		if c.Prefix().Codec == cid.Raw {
			continue
		}
		links, err := s.reach(c)
		if err != nil {
			return nil, err
		}
		todo = append(todo, links...)
	}
	return live, nil
}

// reach lists what a block that may be missing or damaged links to.
func (s *Space) reach(c cid.Cid) ([]cid.Cid, error) {
	b, err := s.read(c)
	if errors.Is(err, ErrNotFound) || errors.Is(err, ErrCorrupt) {
		return nil, nil
	}
	if err != nil {
		return nil, err // deleting what it reaches would be a guess
	}
	links, err := linksOf(c, b.Data)
	if err != nil {
		return nil, nil //nolint:nilerr // not a DAG that anything here could have followed
	}
	out := make([]cid.Cid, len(links))
	for i, l := range links {
		out[i] = l.Cid
	}
	return out, nil
}
