package blob

import (
	"fmt"
	"testing"

	"github.com/ipfs/go-cid"
	ipld "github.com/ipfs/go-ipld-format"
	"github.com/stretchr/testify/require"
)

// A small DAG with a file and a folder that occur twice.
func repeating(t *testing.T, s *Space) (root cid.Cid, inOrder []Block) {
	t.Helper()
	a, b := raw("a"), raw("b")
	sub := folder(t, link("b", b.CID), link("b again", b.CID))
	top := folder(t, link("1", sub.CID), link("2", a.CID), link("3", sub.CID), link("4", a.CID), link("5", b.CID))
	put(t, s, a, b, sub, top)
	return top.CID, []Block{top, sub, b, a}
}

func TestWalkIsDepthFirstAndNamesEachBlockOnce(t *testing.T) {
	s := memSpace(t, Options{})
	root, want := repeating(t, s)
	for skip := range len(want) + 2 {
		got := drain(t, s, root, skip)
		require.Equal(t, want[min(skip, len(want)):], append([]Block{}, got...))
	}
}

func TestWalkSaysWhatIsMissing(t *testing.T) {
	s := memSpace(t, Options{})
	root := folder(t, link("gone", raw("gone").CID))
	put(t, s, root)
	var errs []error
	for _, err := range s.Walk(t.Context(), root.CID, 0, Limits{}) {
		errs = append(errs, err)
	}
	require.Len(t, errs, 2)
	require.NoError(t, errs[0])
	require.ErrorIs(t, errs[1], ErrNotFound)
}

// The transfer is cut after every number of blocks and goes on where it was.
func TestResume(t *testing.T) {
	from := memSpace(t, Options{})
	root, blocks := repeating(t, from)
	for cut := range len(blocks) + 1 {
		to := memSpace(t, Options{})
		r, err := NewReceiver(t.Context(), to, root, Limits{})
		require.NoError(t, err)
		require.Zero(t, r.Skip())
		for _, b := range blocks[:cut] {
			require.False(t, r.Complete())
			require.NoError(t, r.Accept(b.Data))
		}
		require.NoError(t, r.Close())

		r, err = NewReceiver(t.Context(), to, root, Limits{})
		require.NoError(t, err)
		require.Equal(t, cut, r.Skip())
		require.Equal(t, cut == len(blocks), r.Complete(), "a DAG that is there needs nothing sent")
		for _, b := range drain(t, from, root, r.Skip()) {
			require.NoError(t, r.Accept(b.Data))
		}
		require.True(t, r.Complete())
		require.ErrorIs(t, r.Accept(raw("one more").Data), ErrInvalid)
		require.NoError(t, r.Close())
		require.Equal(t, blocks, drain(t, to, root, 0))
	}
}

func TestReceiverRefuses(t *testing.T) {
	a, b := raw("a"), raw("b")
	many := make([]*ipld.Link, MaxLinks+1)
	for i := range many {
		many[i] = link(fmt.Sprint(i), a.CID)
	}
	wide := folder(t, many...)
	atLimit := folder(t, many[1:]...)
	pair := folder(t, link("a", a.CID), link("b", b.CID))
	foreign := folder(t, link("x", cid.NewCidV1(cid.DagCBOR, a.CID.Hash())))
	old := folder(t, link("x", cid.NewCidV0(a.CID.Hash())))
	big := blockOf(cid.Raw, make([]byte, MaxBlock+1))
	noise := blockOf(cid.DagProtobuf, []byte("not protobuf at all"))
	chain := []Block{folder(t)}
	for range MaxDepth {
		chain = append([]Block{folder(t, link("d", chain[0].CID))}, chain...)
	}
	cases := map[string]struct {
		root   Block
		sent   []Block
		limits Limits
		want   error
	}{
		"another block":         {root: a, sent: []Block{b}, want: ErrInvalid},
		"the wrong order":       {root: pair, sent: []Block{pair, b}, want: ErrInvalid},
		"a block twice":         {root: pair, sent: []Block{pair, a, a}, want: ErrInvalid},
		"one block too many":    {root: a, sent: []Block{a, b}, want: ErrInvalid},
		"nothing in a block":    {root: a, sent: []Block{{}}, want: ErrInvalid},
		"a block too large":     {root: big, sent: []Block{big}, want: ErrInvalid},
		"too many links":        {root: wide, sent: []Block{wide}, want: ErrInvalid},
		"as many as may be":     {root: atLimit, sent: []Block{atLimit, a}},
		"another codec below":   {root: foreign, sent: []Block{foreign}, want: ErrInvalid},
		"an old CID below":      {root: old, sent: []Block{old}, want: ErrInvalid},
		"no dag-pb":             {root: noise, sent: []Block{noise}, want: ErrInvalid},
		"too deep":              {root: chain[0], sent: chain, want: ErrInvalid},
		"as deep as may be":     {root: chain[1], sent: chain[1:]},
		"deeper than asked":     {root: chain[60], sent: chain[60:], limits: Limits{Depth: 3}, want: ErrInvalid},
		"over the bytes":        {root: pair, sent: []Block{pair, a, b}, limits: Limits{Bytes: int64(len(pair.Data)) + 1}, want: ErrTooLarge},
		"over the blocks":       {root: pair, sent: []Block{pair, a, b}, limits: Limits{Blocks: 2}, want: ErrTooLarge},
		"just within the limit": {root: pair, sent: []Block{pair, a, b}, limits: Limits{Blocks: 3, Bytes: int64(len(pair.Data)) + 2}},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			s := memSpace(t, Options{})
			r, err := NewReceiver(t.Context(), s, c.root.CID, c.limits)
			require.NoError(t, err)
			for _, b := range c.sent {
				if err = r.Accept(b.Data); err != nil {
					break
				}
			}
			require.ErrorIs(t, err, c.want)
			require.Equal(t, c.want == nil, r.Complete())
			if c.want != nil {
				require.ErrorIs(t, r.Accept(a.Data), c.want, "a receiver that failed takes nothing more")
			}
			require.NoError(t, r.Close())
			require.Empty(t, s.guards)
		})
	}
}

func TestReceiverSaysThatTheStoreIsFull(t *testing.T) {
	s := memSpace(t, Options{SpaceQuota: 4096})
	a := raw("a")
	root := folder(t, link("a", a.CID))
	r, err := NewReceiver(t.Context(), s, root.CID, Limits{})
	require.NoError(t, err)
	require.NoError(t, r.Accept(root.Data))
	require.ErrorIs(t, r.Accept(a.Data), ErrQuota)
	require.False(t, r.Complete())
	require.NoError(t, r.Close())
	require.EqualValues(t, 4096, s.Size())
}

// A damaged block in the middle is found when it is read, and fetched again.
func TestDamageIsRepairedByTheNextTransfer(t *testing.T) {
	from, to := memSpace(t, Options{}), memSpace(t, Options{})
	root, blocks := repeating(t, from)
	repeating(t, to)
	damage(t, to, blocks[1].CID)

	r, err := NewReceiver(t.Context(), to, root, Limits{})
	require.NoError(t, err)
	require.Equal(t, 1, r.Skip())
	for _, b := range drain(t, from, root, 1) {
		require.NoError(t, r.Accept(b.Data))
	}
	require.True(t, r.Complete())
	require.NoError(t, r.Close())
	require.Equal(t, blocks, drain(t, to, root, 0))
}
