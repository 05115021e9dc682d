package blob

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"syscall"

	chunker "github.com/ipfs/boxo/chunker"
	"github.com/ipfs/boxo/ipld/merkledag"
	"github.com/ipfs/boxo/ipld/unixfs"
	"github.com/ipfs/boxo/ipld/unixfs/importer/balanced"
	"github.com/ipfs/boxo/ipld/unixfs/importer/helpers"
	"github.com/ipfs/go-cid"
	ipld "github.com/ipfs/go-ipld-format"
)

// Progress hears how many bytes of total are done; calls don't overlap.
type Progress func(done, total int64)

// AddPath stores a file or folder as UnixFS, as `ipfs add -r -H
// --cid-version=1` makes it (hidden files included, modes and times not), and
// returns its root and the bytes of file content. The root is pinned for
// Options.AddPin; the caller pins it for longer.
//
// ErrRefused names a path that is a link, device, pipe or socket, or a folder
// over MaxLinks entries (where kubo would go on, and shard from 256 KiB of
// names and CIDs on, souk asks for an archive). ErrTooLarge is a path over
// Options.MaxContent, ErrQuota a full space. Nothing is pinned after an error.
func AddPath(ctx context.Context, s *Space, path string, progress Progress) (cid.Cid, int64, error) {
	path = filepath.Clean(path)
	root, rel, err := openPath(path)
	if err != nil {
		return cid.Undef, 0, err
	}
	defer root.Close() // read only: closing can lose nothing
	sc := &scanner{root: root, base: path, max: s.store.opts.MaxContent}
	if rel != "." {
		sc.base = filepath.Dir(path)
	}
	e, err := sc.scan(ctx, rel, 1)
	if err != nil {
		return cid.Undef, 0, err
	}
	w := s.newBatch()
	defer w.close()
	a := &adder{ctx: ctx, root: root, base: sc.base, batch: w, progress: progress, total: sc.bytes}
	n, err := a.add(rel, e)
	if err != nil {
		return cid.Undef, 0, err
	}
	if err := w.flush(); err != nil {
		return cid.Undef, 0, err
	}
	return n.Cid(), sc.bytes, s.Pin(n.Cid(), s.store.opts.Now().Add(s.store.opts.AddPin))
}

// openPath opens the folder at path, or the folder that the file at path is in.
func openPath(path string) (root *os.Root, rel string, err error) {
	info, err := os.Lstat(path)
	if err != nil {
		return nil, "", err
	}
	if info.IsDir() {
		root, err = os.OpenRoot(path)
		return root, ".", err
	}
	root, err = os.OpenRoot(filepath.Dir(path))
	return root, filepath.Base(path), err
}

// adder turns what a scan found into blocks.
type adder struct {
	ipld.DAGService                 // nil: the importer only adds
	ctx             context.Context //nolint:containedctx // lives for one AddPath
	root            *os.Root
	base            string
	batch           *batch
	progress        Progress
	done, total     int64
}

func (a *adder) add(rel string, e *entry) (ipld.Node, error) {
	if !e.dir {
		return a.file(rel, e.size)
	}
	dir := unixfs.EmptyDirNode()
	if err := dir.SetCidBuilder(merkledag.V1CidPrefix()); err != nil {
		return nil, err
	}
	for _, child := range e.children {
		n, err := a.add(filepath.Join(rel, child.name), child)
		if err != nil {
			return nil, err
		}
		if err := dir.AddNodeLink(child.name, n); err != nil {
			return nil, err
		}
	}
	if len(dir.RawData()) > MaxBlock {
		return nil, refused("the names in folder %s take more than %d bytes; shorten them or put them in an archive",
			filepath.Join(a.base, rel), MaxBlock)
	}
	return dir, a.Add(a.ctx, dir)
}

func (a *adder) file(rel string, size int64) (ipld.Node, error) {
	// Not to wait for a writer, should the file have become a pipe since the scan.
	f, err := a.root.OpenFile(rel, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	defer f.Close() // read only: closing can lose nothing
	if info, err := f.Stat(); err != nil || !info.Mode().IsRegular() {
		return nil, errors.Join(err, a.changed(rel))
	}
	before := a.done
	params := helpers.DagBuilderParams{
		Maxlinks: FileLinks, RawLeaves: true, CidBuilder: merkledag.V1CidPrefix(), Dagserv: a,
	}
	builder, err := params.New(chunker.NewSizeSplitter(&counter{a: a, r: io.LimitReader(f, size+1)}, ChunkSize))
	if err != nil {
		return nil, err
	}
	n, err := balanced.Layout(builder)
	if err != nil {
		return nil, fmt.Errorf("store %s: %w", filepath.Join(a.base, rel), err)
	}
	if a.done-before != size {
		return nil, a.changed(rel)
	}
	return n, nil
}

func (a *adder) changed(rel string) error {
	return refused("%s changed while it was read; try again when nothing writes to it", filepath.Join(a.base, rel))
}

// Add takes a node from the importer.
func (a *adder) Add(_ context.Context, n ipld.Node) error {
	if err := a.ctx.Err(); err != nil {
		return err
	}
	return a.batch.put(Block{CID: n.Cid(), Data: n.RawData()})
}

// counter reports what is read, and stops at the end of the context.
type counter struct {
	a *adder
	r io.Reader
}

func (c *counter) Read(p []byte) (int, error) {
	if err := c.a.ctx.Err(); err != nil {
		return 0, err
	}
	n, err := c.r.Read(p)
	c.a.done += int64(n)
	if c.a.progress != nil && n > 0 {
		c.a.progress(min(c.a.done, c.a.total), c.a.total)
	}
	return n, err
}
