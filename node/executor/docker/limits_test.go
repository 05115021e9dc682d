package docker

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/moby/docker-image-spec/specs-go/v1"
	"github.com/moby/moby/api/types/container"
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
	probes := map[string]limittest.Probe{
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
		"memory for unpacking a layer of an image": unpackedIn,
		"volumes that an image declares": func(_ *testing.T, n int64) error {
			_, err := acceptImage(imageWith(func(c *v1.DockerOCIImageConfig) {
				c.Volumes = map[string]struct{}{}
				for i := range n {
					c.Volumes[fmt.Sprint("/volume", i)] = struct{}{}
				}
			}), "amd64", executor.Spec{Args: []string{"/job"}})
			return err
		},
		"open files of a process in a container": func(t *testing.T, n int64) error {
			i := slices.IndexFunc(oneCore().Ulimits, func(u *container.Ulimit) bool { return u.Name == "nofile" })
			return limittest.Refused(n <= oneCore().Ulimits[i].Hard)
		},
		"processes and threads of a container with one core": func(t *testing.T, n int64) error {
			return limittest.Refused(n <= *oneCore().PidsLimit)
		},
		"files on the disk of a container": func(t *testing.T, n int64) error {
			return limittest.Refused(n <= inodes(1<<60))
		},
		"folders in one another in a container's outputs": func(t *testing.T, n int64) error {
			dir := t.TempDir()
			require.NoError(t, os.MkdirAll(filepath.Join(dir, strings.Repeat("d/", int(n))), 0o700))
			removed, err := tidy(dir)
			require.NoError(t, err)
			return limittest.Refused(removed == 0)
		},
		"image, unpacked": func(t *testing.T, n int64) error {
			most := configured(t).MaxImage
			takes, err := verifyLayer(t.Context(), strings.NewReader(layer), sum([]byte(layer)), &budget{whole: 1 << 20})
			require.NoError(t, err)
			return archived(t, most-(n-takes.bytes), good...) // as if the rest were in layers before
		},
	}
	maps.Copy(probes, registryProbes())
	limittest.Run(t, LimitRows(), probes)
}

// unpackedIn begins to unpack a layer that needs n bytes of memory for it.
func unpackedIn(_ *testing.T, n int64) error {
	packed := binary.LittleEndian.AppendUint32([]byte("\x28\xb5\x2f\xfd\xa0"), uint32(n)) // a frame that is one segment, of n bytes,
	packed = append(packed, 0x02, 0x00, 0x10, 'x')                                        // and its first block
	unpacked, err := decompress(bytes.NewReader(packed))
	if err != nil {
		return err
	}
	defer unpacked.Close()
	_, err = unpacked.Read(make([]byte, 1))
	return err
}

// oneCore is what the daemon is told of a container with one core.
func oneCore() *container.HostConfig {
	return plan{spec: executor.Spec{Limits: executor.Limits{CPU: 1, Memory: 1 << 30}}}.host()
}

// configured is what New makes of a configuration that sets no limits.
func configured(t *testing.T) Config {
	e, err := New(Config{Node: "node", Dir: t.TempDir(), Source: endless{}})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, e.Close(false)) })
	return e.cfg
}
