package node

import (
	"errors"
	"fmt"
	"io/fs"
	"testing"

	"github.com/stretchr/testify/require"

	"souk/node/executor/docker"
)

func TestTheDoctorSaysWhatWouldLetImagesRun(t *testing.T) {
	off := fmt.Errorf("check: %w", &docker.Obstacle{Why: "Docker is stopped", Fix: "start it", Err: fs.ErrNotExist})
	misspelt := &docker.Obstacle{Why: `docker.runtime is "rnsc"`, Fix: "use runsc", Misnamed: true}
	for name, c := range map[string]struct {
		auto      bool
		err       error
		ok        bool
		text, fix string
	}{
		"nobody asked for images": {true, off, true, "no images run here: Docker is stopped", "start it; or set provider.executors: wasm where none should"},
		"they are wanted":         {false, off, false, "no images run here: Docker is stopped", "start it"},
		"misspelt":                {true, misspelt, false, `no images run here: docker.runtime is "rnsc"`, "use runsc; or set provider.executors: wasm where none should"},
		"another's words":         {false, errors.New("souk-init was not found"), false, "no images run here: souk-init was not found", "do as the sentence says"},
	} {
		t.Run(name, func(t *testing.T) {
			s := &supply{auto: c.auto}
			check := s.without(c.err)
			require.Equal(t, c.ok, check.OK)
			require.Equal(t, c.text, check.Text)
			require.Equal(t, c.fix, check.Fix)
		})
	}
}
