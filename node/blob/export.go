package blob

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/ipfs/boxo/ipld/unixfs"
	"github.com/ipfs/boxo/ipld/unixfs/pb"
	"github.com/ipfs/go-cid"
	ipld "github.com/ipfs/go-ipld-format"
)

// Export writes the UnixFS file or folder that root names to dst, which must
// not exist; the folder that dst is in must. It writes plain files (0644)
// and folders (0755), nothing outside dst, and at most maxBytes of content.
// After an error nothing is left at dst. It does not sync.
//
// ErrInvalid is a DAG that is no honest folder: links, devices, sharded
// folders, names that are empty, repeated, too long or lead elsewhere, sizes
// that lie, over MaxDepth or MaxEntries. ErrTooLarge is one over maxBytes,
// ErrNotFound and ErrCorrupt one that is not all there, fs.ErrExist a dst in use.
func (s *Space) Export(ctx context.Context, root cid.Cid, dst string, maxBytes int64) error {
	dst = filepath.Clean(dst)
	parent, err := os.OpenRoot(filepath.Dir(dst))
	if err != nil {
		return fmt.Errorf("export to %s: %w", dst, err)
	}
	defer parent.Close() // closing a folder can lose nothing
	name := filepath.Base(dst)
	if name == "." || name == ".." || name == string(filepath.Separator) {
		return fmt.Errorf("export to %s: the destination needs a name of its own", dst)
	}
	most := min(max(maxBytes, 0), 1<<61) // far from where sums wrap
	e := &exporter{space: s, left: most, max: most}
	v := &survey{space: s, max: e.max, known: map[cid.Cid]tally{}}
	if _, err := v.tree(ctx, root, 1); err != nil {
		return fmt.Errorf("export %s to %s: %w", root, dst, err)
	}
	made, err := e.write(ctx, parent, name, root, 1)
	if err == nil {
		return nil
	}
	if made {
		err = errors.Join(err, parent.RemoveAll(name))
	}
	return fmt.Errorf("export %s to %s: %w", root, dst, err)
}

type exporter struct {
	space     *Space
	left, max int64 // bytes of content
	steps     int
}

// part is one block of a tree, decoded: a folder's with dir, else a file's,
// whose bytes are data and then those of links, sizes[i] for links[i].
type part struct {
	dir   bool
	data  []byte
	links []*ipld.Link
	sizes []uint64
	size  uint64
}

// load reads one block at the given depth and checks what it says of itself.
func (e *exporter) load(ctx context.Context, c cid.Cid, depth int) (part, error) {
	if depth > MaxDepth {
		return part{}, invalid("the tree is more than %d blocks deep", MaxDepth)
	}
	if e.steps++; e.steps > maxSteps {
		return part{}, invalid("the tree has more than %d pieces", maxSteps)
	}
	b, err := e.space.Get(ctx, c)
	if err != nil {
		return part{}, err
	}
	return parse(c, b.Data)
}

// parse decodes a verified block as a part of a file or a folder.
func parse(c cid.Cid, data []byte) (part, error) {
	if c.Prefix().Codec == cid.Raw {
		return part{data: data, size: uint64(len(data))}, nil
	}
	n, err := decode(c, data)
	if err != nil {
		return part{}, err
	}
	u, err := unixfs.FSNodeFromBytes(n.Data())
	if err != nil {
		return part{}, invalid("block %s is not UnixFS: %v", c, err)
	}
	p := part{data: u.Data(), links: n.Links(), sizes: u.BlockSizes(), size: u.FileSize()}
	switch u.Type() {
	case pb.Data_Directory:
		p.dir = true
		return p, checkFolder(c, p)
	case pb.Data_File, pb.Data_Raw:
		return p, checkFile(c, p)
	default:
		return part{}, invalid("block %s is a UnixFS %s; only files and plain folders are taken", c, u.Type())
	}
}

func checkFolder(c cid.Cid, p part) error {
	seen := make(map[string]struct{}, len(p.links))
	for _, l := range p.links {
		if err := checkName(l.Name); err != nil {
			return fmt.Errorf("folder %s: %w", c, err)
		}
		if _, twice := seen[l.Name]; twice {
			return invalid("folder %s has two entries %q", c, l.Name)
		}
		seen[l.Name] = struct{}{}
	}
	return nil
}

// checkFile also sees to it that every piece has a byte, so that the work of
// an export is bounded by its bytes.
func checkFile(c cid.Cid, p part) error {
	if len(p.sizes) != len(p.links) {
		return invalid("file %s has %d pieces and %d sizes", c, len(p.links), len(p.sizes))
	}
	sum := uint64(len(p.data))
	for _, n := range p.sizes {
		if n == 0 || n > 1<<62 || sum+n > 1<<62 { // sum is never above 1<<62, so nothing wraps
			return invalid("file %s has a piece of %d bytes", c, n)
		}
		sum += n
	}
	if sum != p.size {
		return invalid("file %s says it has %d bytes, its pieces have %d", c, p.size, sum)
	}
	return nil
}

// write makes what c names as name in dir. made says that it began to.
func (e *exporter) write(ctx context.Context, dir *os.Root, name string, c cid.Cid, depth int) (made bool, err error) {
	p, err := e.load(ctx, c, depth)
	if err != nil {
		return false, err
	}
	if p.dir {
		return e.folder(ctx, dir, name, p, depth)
	}
	if p.size > uint64(e.left) { //nolint:gosec // left is never negative
		return false, overLimit("it has more than %d bytes", e.max)
	}
	f, err := dir.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return false, err
	}
	err = e.content(ctx, f, p, depth)
	return true, errors.Join(err, f.Close())
}

func (e *exporter) folder(ctx context.Context, dir *os.Root, name string, p part, depth int) (made bool, err error) {
	if err := dir.Mkdir(name, 0o755); err != nil {
		return false, err
	}
	sub, err := dir.OpenRoot(name)
	if err != nil {
		return true, err
	}
	defer sub.Close() // closing a folder can lose nothing
	for _, l := range p.links {
		if _, err := e.write(ctx, sub, l.Name, l.Cid, depth+1); err != nil {
			return true, err
		}
	}
	return true, nil
}

// content writes a file's own bytes and then those of its pieces.
func (e *exporter) content(ctx context.Context, w io.Writer, p part, depth int) error {
	if int64(len(p.data)) > e.left {
		return overLimit("it has more than %d bytes", e.max)
	}
	e.left -= int64(len(p.data))
	if _, err := w.Write(p.data); err != nil {
		return err
	}
	for i, l := range p.links {
		piece, err := e.load(ctx, l.Cid, depth+1)
		if err != nil {
			return err
		}
		if piece.dir || piece.size != p.sizes[i] {
			return invalid("a piece of a file is not the %d bytes that the file says", p.sizes[i])
		}
		if err := e.content(ctx, w, piece, depth+1); err != nil {
			return err
		}
	}
	return nil
}
