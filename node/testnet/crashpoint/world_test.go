package crashpoint_test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	crand "crypto/rand"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"souk/protocol/market"
)

const (
	lookAgain = 250 * time.Millisecond // of fake time
	patience  = time.Hour              // the same
)

// plan says which side crashes in which story, and where.
type plan struct {
	story story // zero: market
	side  string
	power bool               // a power loss, which takes the processes and what wasn't synced
	fatal []func(point) bool // for each of its lives in turn; nil, and after them: it lives on
	short bool               // no job is done after the one in which it happened
}

// world is a provider and a client that trade over their crashes; and perhaps
// a dearer provider, elsewhere, that doesn't crash.
type world struct {
	t      *testing.T
	plan   plan
	net    *web
	seller *seller
	relief *seller // nil where the story has none
	buyer  *buyer
	lives  map[string][]*fate            // of each side
	left   map[market.Hash]market.Amount // what a person left unpaid of leases
	asked  time.Time                     // when the last job was started that only has the two sides meet
}

func newWorld(t *testing.T, p plan) *world {
	w := &world{t: t, plan: p, net: &web{hosts: map[peer.ID]*memHost{}}, lives: map[string][]*fate{}, left: map[market.Hash]market.Amount{}}
	dir := t.TempDir()
	w.seller = newSeller(t, w.net, filepath.Join(dir, "provider"), "eu", market.NewAmount(3_600_000))
	w.buyer = &buyer{node: newNode(t, w.net, filepath.Join(dir, "client")), knows: []peer.ID{w.seller.id}, module: filepath.Join(dir, "job.wasm")}
	require.NoError(t, os.WriteFile(w.buyer.module, []byte("\x00asm\x01\x00\x00\x00"), 0o600))
	if p.story.relief {
		w.relief = newSeller(t, w.net, filepath.Join(dir, "relief"), "na", market.NewAmount(36_000_000))
		w.buyer.knows = append(w.buyer.knows, w.relief.id)
	}
	for _, s := range w.sides() {
		w.raise(s)
	}
	return w
}

func (w *world) sellers() []*seller {
	if w.relief == nil {
		return []*seller{w.seller}
	}
	return []*seller{w.seller, w.relief}
}

func newNode(t *testing.T, net *web, dir string) node {
	key, public, err := crypto.GenerateSecp256k1Key(crand.Reader)
	require.NoError(t, err)
	id, err := peer.IDFromPublicKey(public)
	require.NoError(t, err)
	require.NoError(t, os.MkdirAll(dir, 0o700))
	return node{web: net, key: key, id: id, dir: dir, disk: vfs.NewCrashableMem(), ill: &ill{}}
}

// raise begins a side's next life.
func (w *world) raise(s side) {
	var fatal func(point) bool
	if life := len(w.lives[s.name]); s.name == w.plan.side && life < len(w.plan.fatal) {
		fatal = w.plan.fatal[life]
	}
	f := newFate(s.name, fatal)
	f.last = func() { w.crash(s) }
	w.lives[s.name] = append(w.lives[s.name], f)
	if err := s.up(f); err != nil {
		require.ErrorIs(w.t, err, errCrash)
		require.True(w.t, f.isDead())
	}
}

// crash keeps what is durable.
func (w *world) crash(s side) {
	left := vfs.CrashCloneCfg{UnsyncedDataPercent: 100, RNG: rand.New(rand.NewPCG(0, 0))} //nolint:gosec // a test's dice
	if w.plan.power {
		left = vfs.CrashCloneCfg{}
		if s.name == "provider" {
			w.seller.stage.powerLoss()
		}
	}
	s.disk = s.disk.CrashClone(left)
}

// side is a node that may crash, and how it is ended and started.
type side struct {
	*node
	name string
	down func() error
	up   func(*fate) error
}

func (w *world) sides() []side {
	all := []side{{&w.seller.node, "provider", w.seller.down, w.seller.up}}
	if w.relief != nil {
		all = append(all, side{&w.relief.node, "relief", w.relief.down, w.relief.up})
	}
	return append(all, side{&w.buyer.node, "client", w.buyer.down, w.buyer.up})
}

// revive starts again whoever has crashed.
func (w *world) revive() {
	for _, s := range w.sides() {
		for s.fate.isDead() {
			require.NoError(w.t, s.down())
			w.raise(s)
		}
	}
}

// sleep ends sides in order, and after a while starts them again in the same life.
func (w *world) sleep(d time.Duration, all ...side) {
	w.revive()
	for _, s := range all {
		require.NoError(w.t, s.down())
	}
	<-time.After(d)
	for _, s := range all {
		if s.fate.isDead() {
			w.raise(s)
		} else if err := s.up(s.fate); err != nil {
			require.ErrorIs(w.t, err, errCrash)
		}
	}
}

func (w *world) end() {
	for _, s := range w.sides() {
		assert.NoError(w.t, s.down())
	}
}

// until goes on, over all crashes, until cond has nothing to say.
func (w *world) until(what string, cond func() error) {
	w.t.Helper()
	w.within(patience, lookAgain, what, cond)
}

// within is until with another patience.
func (w *world) within(patience, every time.Duration, what string, cond func() error) {
	w.t.Helper()
	var err error
	for range patience / every {
		w.revive()
		if err = cond(); err == nil && !slices.ContainsFunc(w.sides(), func(s side) bool { return s.fate.isDead() }) {
			return
		}
		<-time.After(every)
	}
	require.NoError(w.t, err, what)
	require.Fail(w.t, "the nodes crash without end", what)
}

// spared tells that a story may end here: the plan's crashes have all come.
func (w *world) spared() bool {
	return w.plan.short && len(w.lives[w.plan.side]) > len(w.plan.fatal)
}

func (w *world) do(name string, cancel bool) {
	w.until("job "+name, func() error { return w.press(want{name: name, cancel: cancel}) })
	w.until("quiet after job "+name, w.quiet)
}

// quiet says what isn't at rest or doesn't fit.
func (w *world) quiet() error {
	if err := w.rest(); err != nil {
		return err
	}
	return audited(w)
}

// rest says what isn't at rest.
func (w *world) rest() error {
	if n := w.buyer.engine.Active(); n > 0 {
		return fmt.Errorf("%d jobs aren't done", n)
	}
	for _, s := range w.sellers() {
		if twice := s.stage.again(); len(twice) > 0 {
			return fmt.Errorf("jobs of leases were started twice: %s", twice)
		}
		if !s.idle() {
			return fmt.Errorf("something of the machine is held, or of %d executions is left", s.stage.left())
		}
	}
	return nil
}
