package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"hash/crc32"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"souk/internal/fuzztest"
)

// syntheticFile makes a valid file in which each class is a bar at its own height, with some noise: easy
// enough to be learnt from few digits.
func syntheticFile(train, test int) []byte {
	rng := rand.New(rand.NewPCG(7, 7))
	b := []byte(magic)
	b = binary.LittleEndian.AppendUint32(b, uint32(train))
	b = binary.LittleEndian.AppendUint32(b, uint32(test))
	b = append(b, side, side, classes, 0)
	n := train + test
	for i := range n {
		b = append(b, byte(i%classes))
	}
	for i := range n {
		image := make([]byte, pixels)
		row := 3 + 2*(i%classes)
		for x := 5; x < 20; x++ {
			image[row*side+x] = 255
		}
		for range 20 {
			image[rng.IntN(pixels)] = byte(rng.IntN(200))
		}
		b = append(b, image...)
	}
	return binary.LittleEndian.AppendUint32(b, crc32.ChecksumIEEE(b))
}

func synthetic(t *testing.T, train, test int) dataset {
	t.Helper()
	d, err := decode(bytes.NewReader(syntheticFile(train, test)))
	require.NoError(t, err)
	return d
}

// resealed changes a file and makes its checksum right again.
func resealed(b []byte, change func(b []byte)) []byte {
	b = bytes.Clone(b)
	change(b)
	body := b[:len(b)-crc32.Size]
	return binary.LittleEndian.AppendUint32(body, crc32.ChecksumIEEE(body))
}

func TestDecodeGivesBothPartsApart(t *testing.T) {
	d := synthetic(t, 30, 20)
	require.Equal(t, 30, d.train.len())
	require.Equal(t, 20, d.test.len())
	require.Len(t, d.train.images, 30*pixels)
	require.Len(t, d.test.images, 20*pixels)
	require.Equal(t, byte(3), d.test.labels[3])
	require.Equal(t, byte(255), d.test.image(3)[(3+2*3)*side+10])
}

func TestDecodeSaysWhatIsWrongInOneSentence(t *testing.T) {
	good := syntheticFile(30, 20)
	for name, c := range map[string]struct {
		file []byte
		says string
	}{
		"empty":            {nil, "ends inside the header"},
		"half a header":    {good[:11], "ends inside the header"},
		"another file":     {[]byte("\x89PNG\r\n\x1a\nand so on and so forth"), "must begin with SOUKDIG1"},
		"no training":      {resealed(good, func(b []byte) { binary.LittleEndian.PutUint32(b[8:], 0) }), "has 0 digits"},
		"no testing":       {resealed(good, func(b []byte) { binary.LittleEndian.PutUint32(b[12:], 0) }), "has 0 digits"},
		"absurd count":     {resealed(good, func(b []byte) { binary.LittleEndian.PutUint32(b[8:], 1<<32-1) }), "has 4294967295 digits"},
		"one more claimed": {resealed(good, func(b []byte) { b[8]++ }), "only"},
		"other size":       {resealed(good, func(b []byte) { b[16] = 32 }), "32×28 pixels"},
		"other classes":    {resealed(good, func(b []byte) { b[18] = 26 }), "26 classes"},
		"header alone":     {good[:headerSize], "only 0"},
		"truncated":        {good[:len(good)-1], "only"},
		"something after":  {append(bytes.Clone(good), 0), "there are more"},
		"flipped bit":      {func() []byte { b := bytes.Clone(good); b[5000] ^= 1; return b }(), "checksum"},
		"flipped count":    {func() []byte { b := bytes.Clone(good); b[8]--; b[12]++; return b }(), "checksum"},
		"label 10":         {resealed(good, func(b []byte) { b[headerSize+4] = 10 }), "digit 4 has the label 10"},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "digits.bin")
			require.NoError(t, os.WriteFile(path, c.file, 0o600))
			_, err := load(path)
			require.ErrorContains(t, err, c.says)
			require.ErrorContains(t, err, path)
			require.NotContains(t, err.Error(), "\n")
		})
	}
}

func FuzzDecode(f *testing.F) {
	good := syntheticFile(2, 1)
	f.Add(good)
	f.Add(good[:headerSize])
	f.Add(resealed(good, func(b []byte) { b[8], b[12] = 1, 2 }))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, b []byte) {
		fuzztest.Bound(t)
		d, err := decode(bytes.NewReader(b))
		if err != nil {
			return
		}
		for _, part := range []digits{d.train, d.test} {
			require.Len(t, part.images, part.len()*pixels)
			for _, l := range part.labels {
				require.Less(t, l, byte(classes))
			}
		}
	})
}

func TestCommittedDigitsAreWhatTheReadmeSays(t *testing.T) {
	b, err := os.ReadFile("../digits.bin")
	require.NoError(t, err)
	readme, err := os.ReadFile("../README.md")
	require.NoError(t, err)
	sum := sha256.Sum256(b)
	require.True(t, strings.Contains(string(readme), hex.EncodeToString(sum[:])), "the README's checksum of digits.bin is %x", sum)

	d, err := decode(bytes.NewReader(b))
	require.NoError(t, err)
	require.Equal(t, 8000, d.train.len())
	require.Equal(t, 2000, d.test.len())
	var learn, test [classes]int
	for _, l := range d.train.labels {
		learn[l]++
	}
	for _, l := range d.test.labels {
		test[l]++
	}
	for c := range classes {
		require.InDelta(t, 0.2, float64(test[c])/float64(test[c]+learn[c]), 0.02, "share of %ds kept for testing", c)
	}
}
