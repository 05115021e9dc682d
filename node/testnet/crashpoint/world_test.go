package crashpoint_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
	"time"

	crand "crypto/rand"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"souk/node/ledger"
)

const (
	lookAgain = 250 * time.Millisecond // of fake time
	patience  = time.Hour              // the same
)

// plan says which side crashes, and where.
type plan struct {
	side  string
	power bool               // a power loss, which takes the processes and what wasn't synced
	fatal []func(point) bool // for each of its lives in turn; nil, and after them: it lives on
	short bool               // no job is done after the one in which it happened
}

// world is one provider and one client that trade over their crashes.
type world struct {
	t      *testing.T
	plan   plan
	seller *seller
	buyer  *buyer
	lives  map[string][]*fate // of each side
}

func newWorld(t *testing.T, p plan) *world {
	net := &web{hosts: map[peer.ID]*memHost{}}
	w := &world{t: t, plan: p, lives: map[string][]*fate{}}
	dir := t.TempDir()
	s := newStage(filepath.Join(dir, "executions"))
	w.seller = &seller{node: newNode(t, net, filepath.Join(dir, "provider")), stage: s}
	w.buyer = &buyer{node: newNode(t, net, filepath.Join(dir, "client")), knows: []peer.ID{w.seller.id}, module: filepath.Join(dir, "job.wasm")}
	require.NoError(t, os.WriteFile(w.buyer.module, []byte("\x00asm\x01\x00\x00\x00"), 0o600))
	w.raise(&w.seller.node, "provider", w.seller.up)
	w.raise(&w.buyer.node, "client", w.buyer.up)
	return w
}

func newNode(t *testing.T, net *web, dir string) node {
	key, public, err := crypto.GenerateSecp256k1Key(crand.Reader)
	require.NoError(t, err)
	id, err := peer.IDFromPublicKey(public)
	require.NoError(t, err)
	require.NoError(t, os.MkdirAll(dir, 0o700))
	return node{web: net, key: key, id: id, dir: dir, disk: vfs.NewCrashableMem(), ill: &ill{}}
}

// raise begins a node's next life.
func (w *world) raise(n *node, side string, up func(*fate) error) {
	var fatal func(point) bool
	if life := len(w.lives[side]); side == w.plan.side && life < len(w.plan.fatal) {
		fatal = w.plan.fatal[life]
	}
	f := newFate(side, fatal)
	f.last = func() { w.crash(n, side) }
	w.lives[side] = append(w.lives[side], f)
	if err := up(f); err != nil {
		require.ErrorIs(w.t, err, errCrash)
		require.True(w.t, f.isDead())
	}
}

// crash keeps what is durable.
func (w *world) crash(n *node, side string) {
	left := vfs.CrashCloneCfg{UnsyncedDataPercent: 100, RNG: rand.New(rand.NewPCG(0, 0))} //nolint:gosec // a test's dice
	if w.plan.power {
		left = vfs.CrashCloneCfg{}
		if side == "provider" {
			w.seller.stage.powerLoss()
		}
	}
	n.disk = n.disk.CrashClone(left)
}

// revive starts again whoever has crashed.
func (w *world) revive() {
	for w.seller.fate.isDead() {
		require.NoError(w.t, w.seller.down())
		w.raise(&w.seller.node, "provider", w.seller.up)
	}
	for w.buyer.fate.isDead() {
		require.NoError(w.t, w.buyer.down())
		w.raise(&w.buyer.node, "client", w.buyer.up)
	}
}

func (w *world) end() {
	assert.NoError(w.t, w.buyer.down())
	assert.NoError(w.t, w.seller.down())
}

// until goes on, over all crashes, until cond has nothing to say.
func (w *world) until(what string, cond func() error) {
	w.t.Helper()
	var err error
	for range patience / lookAgain {
		w.revive()
		if err = cond(); err == nil && !w.seller.fate.isDead() && !w.buyer.fate.isDead() {
			return
		}
		<-time.After(lookAgain)
	}
	require.NoError(w.t, err, what)
	require.Fail(w.t, "the nodes crash without end", what)
}

// trade has two jobs done in turn, the second of which the user cancels after
// a tick, and the books audited after each.
func (w *world) trade() {
	w.do("first", false)
	if !w.plan.short || len(w.lives[w.plan.side]) <= len(w.plan.fatal) {
		w.do("second", true)
	}
}

func (w *world) do(name string, cancel bool) {
	w.until("job "+name, func() error { return w.press(name, cancel) })
	w.until("quiet after job "+name, w.quiet)
}

var errWorks = errors.New("it isn't done yet")

// press does what a user does until a job is done: submits it, unless it is
// known, and cancels it.
func (w *world) press(name string, cancel bool) error {
	job, known, err := w.buyer.job(name)
	switch {
	case err != nil:
		return err
	case !known:
		_, err := w.buyer.engine.Submit(context.Background(), w.buyer.spec(name), "")
		return errors.Join(err, errWorks)
	case job.State == ledger.JobDone:
		return nil
	case !cancel || job.Cancel || !w.ticked(job):
		return errWorks
	}
	return errors.Join(w.buyer.engine.Cancel(context.Background(), job.ID), errWorks)
}

// ticked tells that a receipt of the job was countersigned.
func (w *world) ticked(job ledger.Job) (yes bool) {
	err := w.buyer.ledger.View(context.Background(), func(tx *ledger.Tx) error {
		for _, h := range job.Leases {
			l, err := tx.Lease(ledger.Client, h)
			if err != nil {
				return err
			}
			yes = yes || l.Countersigned.Seq > 0
		}
		return nil
	})
	return yes && err == nil
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
	if twice := w.seller.stage.again(); len(twice) > 0 {
		return fmt.Errorf("jobs of leases were started twice: %s", twice)
	}
	if !w.seller.idle() {
		return fmt.Errorf("something of the machine is held, or of %d executions is left", w.seller.stage.left())
	}
	return nil
}
