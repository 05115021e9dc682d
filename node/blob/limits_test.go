package blob

import (
	"fmt"
	"strings"
	"testing"

	"github.com/ipfs/go-cid"
	ipld "github.com/ipfs/go-ipld-format"
	"github.com/stretchr/testify/require"

	"souk/internal/limit/limittest"
)

// invalidOnly is err, which must say that the data is at fault.
func invalidOnly(t *testing.T, err error) error {
	if err != nil {
		require.ErrorIs(t, err, ErrInvalid)
	}
	return err
}

// fullFolder has so many entries, all of them to.
func fullFolder(t *testing.T, n int, to cid.Cid) Block {
	links := make([]*ipld.Link, n)
	for i := range links {
		links[i] = link(fmt.Sprintf("%04d", i), to)
	}
	return folder(t, links...)
}

func surveyed(t *testing.T, s *Space, root Block) error {
	v := &survey{space: s, max: 1 << 40, known: map[cid.Cid]tally{}}
	_, err := v.tree(t.Context(), root.CID, 1)
	return invalidOnly(t, err)
}

func TestLimits(t *testing.T) {
	leaf := raw("leaf")
	limittest.Run(t, LimitRows(), map[string]limittest.Probe{
		"block in the store": func(t *testing.T, n int64) error {
			b := raw(strings.Repeat("x", int(n)))
			return invalidOnly(t, verify(b.CID, b.Data))
		},
		"links in a block, so entries in a folder": func(t *testing.T, n int64) error {
			b := fullFolder(t, int(n), leaf.CID)
			_, err := linksOf(b.CID, b.Data)
			return invalidOnly(t, err)
		},
		"blocks from a root to a leaf": func(t *testing.T, n int64) error {
			s, b := memSpace(t, Options{}), leaf
			for range n - 1 {
				put(t, s, b)
				b = folder(t, link("x", b.CID))
			}
			put(t, s, b)
			return surveyed(t, s, b)
		},
		"blocks of all spaces": func(t *testing.T, n int64) error {
			s := memSpace(t, Options{})
			s.store.blocks.Store(n - 1)
			err := s.Put(t.Context(), leaf)
			if err != nil {
				require.ErrorIs(t, err, ErrQuota)
			}
			return err
		},
		"files and folders in a tree": func(t *testing.T, n int64) error {
			const below = 1000 // files in each folder, which is an entry too
			folders, files := int(n-1)/(below+1), int(n-1)%(below+1)
			full := fullFolder(t, below, leaf.CID)
			var links []*ipld.Link
			for i := range folders + files {
				to := full.CID
				if i >= folders {
					to = leaf.CID
				}
				links = append(links, link(fmt.Sprintf("%04d", i), to))
			}
			s, root := memSpace(t, Options{}), folder(t, links...)
			put(t, s, leaf, full, root)
			return surveyed(t, s, root)
		},
		"pieces of a tree": func(t *testing.T, n int64) error {
			s := memSpace(t, Options{})
			put(t, s, leaf)
			e := &exporter{space: s, steps: int(n) - 1} // so many were read already
			_, err := e.load(t.Context(), leaf.CID, 1)
			return invalidOnly(t, err)
		},
		"name of a file": func(t *testing.T, n int64) error { return invalidOnly(t, checkName(strings.Repeat("x", int(n)))) },
	})
}
