package docker

import (
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"souk/internal/limit/limittest"
	"souk/node/executor"
)

// archived reads an archive with so many unpacked bytes at most.
func archived(t *testing.T, most int64, entries ...entry) error {
	_, err := readArchive(t.Context(), fileOf(t, pack(entries...)), most)
	var fault *executor.JobError
	if err != nil {
		require.ErrorAs(t, err, &fault)
	}
	return err
}

func TestLimits(t *testing.T) {
	layer := layerOf("x")
	good := []entry{{name: "l.tar", content: layer}, {name: "c.json", content: configOf(layer)}, {name: "manifest.json", content: manifestOf("l.tar")}}
	padded := func(text string, n int64) string { return text + strings.Repeat(" ", int(n)-len(text)) }
	limittest.Run(t, LimitRows(), map[string]limittest.Probe{
		"entries of an image's archive": func(t *testing.T, n int64) error {
			all := good
			for i := len(good); i < int(n); i++ {
				all = append(all, entry{name: fmt.Sprint("f", i)})
			}
			return archived(t, 1<<20, all...)
		},
		"manifest of an image's archive": func(t *testing.T, n int64) error {
			return archived(t, 1<<20, good[0], good[1], entry{name: "manifest.json", content: padded(manifestOf("l.tar"), n)})
		},
		"configuration of an image": func(t *testing.T, n int64) error {
			return archived(t, 1<<20, good[0], entry{name: "c.json", content: padded(configOf(layer), n)}, good[2])
		},
		"layers of an image": func(t *testing.T, n int64) error {
			layers, names := make([]string, n), make([]string, n)
			for i := range layers {
				layers[i], names[i] = layer, "l.tar"
			}
			return archived(t, 1<<20, good[0], entry{name: "c.json", content: configOf(layers...)}, entry{name: "manifest.json", content: manifestOf(names...)})
		},
		"silence of an image's registry": func(t *testing.T, n int64) (err error) {
			synctest.Test(t, func(*testing.T) {
				here, there := net.Pipe()
				defer here.Close()
				defer time.AfterFunc(limittest.Wait(n), func() { _ = there.Close() }).Stop()
				if _, err = (impatient{here}).Read(make([]byte, 1)); errors.Is(err, io.EOF) {
					err = nil // it was waited for
				}
			})
			return err
		},
		"image, unpacked": func(t *testing.T, n int64) error {
			most := configured(t).MaxImage
			takes, err := verifyLayer(t.Context(), strings.NewReader(layer), sum([]byte(layer)), &budget{whole: 1 << 20})
			require.NoError(t, err)
			return archived(t, most-(n-takes.bytes), good...) // as if the rest were in layers before
		},
	})
}

// configured is what New makes of a configuration that sets no limits.
func configured(t *testing.T) Config {
	e, err := New(Config{Node: "node", Dir: t.TempDir(), Source: endless{}})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, e.Close(false)) })
	return e.cfg
}
