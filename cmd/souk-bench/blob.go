package main

import (
	"bufio"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"time"

	"souk/node/blob"
)

// blobs is what content-addressed storage costs.
func blobs() []figure {
	return []figure{{
		name:  "blob-add",
		about: "adding a file of 1 GiB, synced to disk, against sha256 of it; ≥ 60 %",
		run:   func(ctx context.Context, s *session) ([]result, error) { return blobAdd(ctx, s, int64(s.times(1<<30))) },
	}}
}

// blobAdd hashes a file, adds it, and hashes it again, so that both sides of the ratio see the same machine.
func blobAdd(ctx context.Context, w io.Writer, size int64) (_ []result, err error) {
	dir, remove, err := scratch()
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, remove()) }()
	path := filepath.Join(dir, "file")
	if err := writeRandom(path, size); err != nil {
		return nil, err
	}
	before, err := hashFile(path)
	if err != nil {
		return nil, err
	}
	space, err := localSpace(dir)
	if err != nil {
		return nil, err
	}
	began := time.Now()
	if _, _, err := blob.AddPath(ctx, space, path, nil); err != nil {
		return nil, err
	}
	adding := time.Since(began)
	after, err := hashFile(path)
	if err != nil {
		return nil, err
	}
	writing, err := copySynced(path, filepath.Join(dir, "copy"))
	if err != nil {
		return nil, err
	}
	fmt.Fprintf(w, "  sha256 took %s and %s, adding %s\n", before.Round(time.Millisecond), after.Round(time.Millisecond), adding.Round(time.Millisecond))
	mb := float64(size) / 1e6
	limit := 2 * mb / (before + after).Seconds()
	r := against("blob-add", mb/adding.Seconds(), "MB/s", limit, "MB/s of sha256", goal{least: 0.6})
	r.Note = fmt.Sprintf("%d MiB of random bytes; adding chunks, hashes, writes and syncs all of it", size>>20)
	disk := against("blob-add-disk", mb/adding.Seconds(), "MB/s", mb/writing.Seconds(), "MB/s of copying and syncing it", goal{})
	disk.Note = "what the disk alone allows: adding ends when everything is on it"
	return []result{r, disk}, nil
}

// copySynced copies a file, and syncs the copy.
func copySynced(from, to string) (time.Duration, error) {
	in, err := os.Open(from) //nolint:gosec // our own path
	if err != nil {
		return 0, err
	}
	defer in.Close()
	out, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600) //nolint:gosec // our own path
	if err != nil {
		return 0, err
	}
	began := time.Now()
	_, err = io.CopyBuffer(struct{ io.Writer }{out}, struct{ io.Reader }{in}, make([]byte, 1<<20))
	err = errors.Join(err, out.Sync(), out.Close())
	return time.Since(began), err
}

// writeRandom writes a file that no file system can make smaller. It is in the page cache afterwards.
func writeRandom(path string, size int64) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600) //nolint:gosec // our own path
	if err != nil {
		return err
	}
	b := bufio.NewWriterSize(f, 1<<20)
	_, err = io.CopyN(b, rand.NewChaCha8([32]byte{}), size)
	return errors.Join(err, b.Flush(), f.Sync(), f.Close())
}

func hashFile(path string) (time.Duration, error) {
	began := time.Now()
	f, err := os.Open(path) //nolint:gosec // our own path
	if err != nil {
		return 0, err
	}
	defer f.Close()
	_, err = io.CopyBuffer(struct{ io.Writer }{sha256.New()}, f, make([]byte, 1<<20))
	return time.Since(began), err
}

// localSpace is a fresh store's space for this node's own blocks.
func localSpace(dir string) (*blob.Space, error) {
	store, err := blob.Open(filepath.Join(dir, "store"), blob.Options{})
	if err != nil {
		return nil, err
	}
	return store.Space(blob.Local)
}
