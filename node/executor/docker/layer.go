package docker

import (
	"archive/tar"
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"strings"
	"sync/atomic"

	"github.com/klauspost/compress/zstd"
)

const (
	zstdWindow = 128 << 20 // bytes of memory that unpacking may take
	fileBytes  = 4 << 10   // that a file of an image counts for, besides what is in it: a disk has only so many
)

// verifyLayer unpacks a layer, compares its digest, and gives the room that it
// takes on a disk. The daemon unpacks a layer whole before it looks at anything, and
// goes on when nobody waits for it any more, so what it would write has to be known before.
func verifyLayer(ctx context.Context, raw io.Reader, id string, left *budget) (room, error) {
	unpacked, err := decompress(raw)
	if err != nil {
		return room{}, err
	}
	defer unpacked.Close()
	sum := sha256.New()
	read := &counted{ctx: ctx, from: unpacked, left: left}
	r := io.TeeReader(read, sum)
	err = countFiles(tar.NewReader(r), read)
	if err == nil {
		_, err = io.Copy(io.Discard, r) // what comes after the tar's end is part of the digest
	}
	switch {
	case ctx.Err() != nil:
		return room{}, ctx.Err()
	case errors.Is(err, errTooMuch):
		return room{}, refuse("the image is too big: unpacked it has more than the %d MiB up to which this provider takes images", left.whole>>20)
	case errors.Is(err, errSparse):
		return room{}, refuse("a layer of the image has sparse files, which images have not; build the image anew")
	case err != nil:
		return room{}, refuse("a layer of the image can't be unpacked: %.100s", err)
	case "sha256:"+hex.EncodeToString(sum.Sum(nil)) != id:
		return room{}, refuse("a layer of the image is not what its configuration names (%.80s)", id)
	}
	return room{bytes: read.n, files: read.files}, nil
}

var (
	errTooMuch = errors.New("more than is left")
	errSparse  = errors.New("a sparse file")
)

// budget is what an image may take unpacked, over all its layers.
type budget struct {
	whole int64 // bytes
	taken atomic.Int64
}

// take is false once more was taken than there is.
func (b *budget) take(n int64) bool { return b.taken.Add(n) <= b.whole }

// countFiles adds what the number of a layer's files takes. A sparse file would
// be written with all its holes.
func countFiles(layer *tar.Reader, size *counted) error {
	for {
		h, err := layer.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if h.Typeflag == tar.TypeGNUSparse {
			return errSparse
		}
		for record := range h.PAXRecords {
			if strings.HasPrefix(record, "GNU.sparse") {
				return errSparse
			}
		}
		size.n += fileBytes
		size.files++
		if !size.left.take(fileBytes) {
			return errTooMuch
		}
	}
}

// counted reads at most what is left, and nothing once ctx has ended.
type counted struct {
	ctx   context.Context //nolint:containedctx // of the one call that it is made for
	from  io.Reader
	n     int64
	files int64
	left  *budget
}

func (c *counted) Read(p []byte) (int, error) {
	if err := c.ctx.Err(); err != nil {
		return 0, err
	}
	n, err := c.from.Read(p)
	if c.n += int64(n); !c.left.take(int64(n)) {
		return 0, errTooMuch
	}
	return n, err
}

// decompress unpacks what begins like gzip or zstd, and passes on the rest, but
// for what the daemon would unpack and this doesn't: nobody could tell its size.
func decompress(raw io.Reader) (io.ReadCloser, error) {
	r := bufio.NewReaderSize(raw, 1<<20)
	magic, _ := r.Peek(6) // what is shorter is none of them
	switch {
	case bytes.HasPrefix(magic, []byte{0x1f, 0x8b}):
		z, err := gzip.NewReader(r)
		if err != nil {
			return nil, refuse("a layer of the image can't be unpacked: %.100s", err)
		}
		return z, nil
	case bytes.HasPrefix(magic, []byte{0x28, 0xb5, 0x2f, 0xfd}):
		z, err := zstd.NewReader(r, zstd.WithDecoderMaxWindow(zstdWindow), zstd.WithDecoderConcurrency(1))
		if err != nil {
			return nil, err
		}
		return z.IOReadCloser(), nil
	case bytes.HasPrefix(magic, []byte("BZh")), bytes.HasPrefix(magic, []byte("\xfd7zXZ\x00")), skippable(magic):
		return nil, refuse("a layer of the image is packed with bzip2, xz or a part of zstd that is not for layers; none, gzip and zstd would be right")
	default:
		return io.NopCloser(r), nil
	}
}

// skippable says whether something begins like a frame of zstd that holds no data.
func skippable(magic []byte) bool {
	return len(magic) >= 4 && magic[0]&0xf0 == 0x50 && bytes.Equal(magic[1:4], []byte{0x2a, 0x4d, 0x18})
}
