package main

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"hash/crc32"
	"io"
	"math"
	"os"
	"path/filepath"
)

const weightsMagic = "SOUKNET1"

// run does the whole job: load, train, write.
func run(s settings, stdout io.Writer) error {
	data, err := load(s.data)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(s.out, 0o755); err != nil {
		return fmt.Errorf("can't make the output folder: %w", err)
	}
	t := newTrainer(s, data, stdout)
	_, _ = fmt.Fprintf(stdout, "%d handwritten digits to learn from, %d to test on\n", data.train.len(), data.test.len())
	_, _ = fmt.Fprintf(stdout, "a network of %d-%d-%d units, %d weights, seed %d\n", pixels, s.hidden, classes, t.net.size(), s.seed)
	results, v := t.train()
	if bad := results[len(results)-1].TrainLoss; math.IsNaN(bad) || math.IsInf(bad, 0) {
		return fmt.Errorf("the training diverged; a rate below %v would be calmer", s.rate)
	}
	return writeAll(s, t, results, v, stdout)
}

func writeAll(s settings, t *trainer, results []epochResult, v verdict, stdout io.Writer) error {
	metrics, err := encodeMetrics(s, t.data, results, v)
	if err != nil {
		return err
	}
	picture, err := encodePicture(v, t.data.test)
	if err != nil {
		return err
	}
	right, all := v.right()
	_, _ = fmt.Fprintf(stdout, "read %d of %d test digits right%s\n", right, all, worst(v))
	for _, f := range []struct {
		name, what string
		bytes      []byte
	}{
		{"weights.bin", "the network", encodeWeights(t.net)},
		{"metrics.json", "loss and accuracy by epoch", metrics},
		{"confusion.png", "which digits it takes for which", picture},
	} {
		path := filepath.Join(s.out, f.name)
		if err := os.WriteFile(path, f.bytes, 0o644); err != nil {
			return fmt.Errorf("can't write a result: %w", err)
		}
		_, _ = fmt.Fprintf(stdout, "wrote %s, %d bytes: %s\n", path, len(f.bytes), f.what)
	}
	return nil
}

// worst names the commonest mistake, the first of equals.
func worst(v verdict) string {
	var most, wrote, read int
	for w, row := range v.counts {
		for r, n := range row {
			if w != r && n > most {
				most, wrote, read = n, w, r
			}
		}
	}
	if most == 0 {
		return ""
	}
	return fmt.Sprintf("; the commonest mistake is a %d read as %d, %d of %d", wrote, read, most, len(v.mistakes))
}

// encodeWeights gives the file that README.md describes: magic, three sizes, the four parts as
// little-endian float32, CRC-32 of all before it.
func encodeWeights(n *network) []byte {
	b := []byte(weightsMagic)
	for _, size := range []int{pixels, n.hidden, classes} {
		b = binary.LittleEndian.AppendUint32(b, uint32(size))
	}
	for _, part := range n.params.each() {
		for _, w := range part {
			b = binary.LittleEndian.AppendUint32(b, math.Float32bits(w))
		}
	}
	return binary.LittleEndian.AppendUint32(b, crc32.ChecksumIEEE(b))
}

// metrics is the content of metrics.json.
type metrics struct {
	Seed       uint64        `json:"seed"`
	Hidden     int           `json:"hidden"`
	Rate       float64       `json:"rate"`
	Batch      int           `json:"batch"`
	TrainCount int           `json:"train_count"`
	TestCount  int           `json:"test_count"`
	Epochs     []epochResult `json:"epochs"`
	// Confusion counts test digits: Confusion[written][read].
	Confusion [classes][classes]int `json:"confusion"`
}

func encodeMetrics(s settings, d dataset, results []epochResult, v verdict) ([]byte, error) {
	m := metrics{
		Seed: s.seed, Hidden: s.hidden, Rate: s.rate, Batch: batchSize,
		TrainCount: d.train.len(), TestCount: d.test.len(), Confusion: v.counts,
	}
	for _, r := range results {
		r.TrainLoss, r.TestLoss, r.TestAccuracy = rounded(r.TrainLoss), rounded(r.TestLoss), rounded(r.TestAccuracy)
		m.Epochs = append(m.Epochs, r)
	}
	b, err := json.Marshal(m)
	if err != nil {
		return nil, fmt.Errorf("can't write down the metrics: %w", err)
	}
	var pretty bytes.Buffer
	if err := json.Indent(&pretty, b, "", " "); err != nil {
		return nil, fmt.Errorf("can't write down the metrics: %w", err)
	}
	pretty.WriteByte('\n')
	return pretty.Bytes(), nil
}

// rounded keeps six decimals, more than the sums are good for.
func rounded(x float64) float64 { return math.Round(x*1e6) / 1e6 }
