package control

import (
	"bytes"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/require"

	"souk/internal/fuzztest"
	"souk/node/client"
)

// FuzzQuestion reads any bytes as a question on the node's socket, and as an
// event that a node answers.
func FuzzQuestion(f *testing.F) {
	for _, seed := range []string{
		`{"spec":{"name":"digits","gpu":{"name":"any","count":1},"total":"9","time":60000000000},"plan":"p"}`,
		`{"id":"job1","offset":3}`, `{"peer":"a","slug":"rtx-4090","count":2}`, `[`, `{"event":{"kind":"log","text":"x"}}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		fuzztest.Bound(t)
		for _, into := range []any{&submission{}, &ref{}, &Need{}, &ChallengeOf{}, &nothing{}} {
			q := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/", bytes.NewReader(text))
			if readBody(httptest.NewRecorder(), q, into) == nil {
				_, err := json.Marshal(into)
				require.NoError(t, err)
			}
		}
		var l line
		var e client.Event
		if json.Unmarshal(text, &l) == nil {
			_ = json.Unmarshal(l.Event, &e)
		}
	})
}
