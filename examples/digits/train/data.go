package main

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"io"
	"os"
)

// The layout of digits.bin; README.md describes it for other readers.
const (
	magic      = "SOUKDIG1"
	headerSize = 20
	side       = 28
	pixels     = side * side
	classes    = 10
	maxImages  = 100_000 // of a part; MNIST in full has 60,000
)

// digits is one part of the data: image i is images[i*pixels:(i+1)*pixels], row by row from the top left,
// 0 for paper and 255 for ink; labels[i] is the digit that was written, below classes.
type digits struct {
	labels []byte
	images []byte
}

func (d digits) len() int           { return len(d.labels) }
func (d digits) image(i int) []byte { return d.images[i*pixels : (i+1)*pixels] }

// dataset is the digits to learn from and those to test on.
type dataset struct {
	train, test digits
}

// load reads the file of digits at path. Its errors are one sentence that names the path.
func load(path string) (dataset, error) {
	f, err := os.Open(path)
	if err != nil {
		return dataset{}, fmt.Errorf("can't open the digits: %w", err)
	}
	defer func() { _ = f.Close() }()
	d, err := decode(f)
	if err != nil {
		return dataset{}, fmt.Errorf("%s is not a usable file of digits: %w", path, err)
	}
	return d, nil
}

// decode reads a file of digits. It believes no count before it is checked, and allocates at most
// 2·maxImages·(pixels+1) bytes and never more than about twice what r holds.
func decode(r io.Reader) (dataset, error) {
	var head [headerSize]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return dataset{}, fmt.Errorf("it ends inside the header of %d bytes", headerSize)
	}
	train, test, err := decodeHeader(head)
	if err != nil {
		return dataset{}, err
	}
	n := train + test
	want := int64(n)*(1+pixels) + crc32.Size
	body, err := io.ReadAll(io.LimitReader(r, want+1))
	if err != nil {
		return dataset{}, fmt.Errorf("it can't be read: %w", err)
	}
	if got := int64(len(body)); got != want {
		return dataset{}, fmt.Errorf("%d bytes must follow the header for %d digits, but %s", want, n, surplus(got, want))
	}
	body, sum := body[:want-crc32.Size], binary.LittleEndian.Uint32(body[want-crc32.Size:])
	if crc32.Update(crc32.ChecksumIEEE(head[:]), crc32.IEEETable, body) != sum {
		return dataset{}, fmt.Errorf("its checksum is wrong, so it was damaged on the way")
	}
	labels, images := body[:n], body[n:]
	for i, l := range labels {
		if l >= classes {
			return dataset{}, fmt.Errorf("digit %d has the label %d; labels go from 0 to %d", i, l, classes-1)
		}
	}
	return dataset{
		train: digits{labels[:train], images[:train*pixels]},
		test:  digits{labels[train:], images[train*pixels:]},
	}, nil
}

func surplus(got, want int64) string {
	if got > want {
		return "there are more"
	}
	return fmt.Sprintf("there are only %d", got)
}

func decodeHeader(h [headerSize]byte) (train, test int, err error) {
	if string(h[:8]) != magic {
		return 0, 0, fmt.Errorf("it must begin with %s", magic)
	}
	nTrain, nTest := binary.LittleEndian.Uint32(h[8:]), binary.LittleEndian.Uint32(h[12:])
	for _, n := range []uint32{nTrain, nTest} {
		if n < 1 || n > maxImages {
			return 0, 0, fmt.Errorf("it says that a part has %d digits; 1 to %d are possible", n, maxImages)
		}
	}
	if h[16] != side || h[17] != side || h[18] != classes || h[19] != 0 {
		return 0, 0, fmt.Errorf("it has %d classes of %d×%d pixels; this program reads %d of %d×%d",
			h[18], h[16], h[17], classes, side, side)
	}
	return int(nTrain), int(nTest), nil
}
