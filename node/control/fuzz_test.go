package control

import (
	"bufio"
	"bytes"
	"encoding/json"
	"io"
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
		`{"event":{"event":"log","offset":7},"bytes":4}` + "\na\nb\n" + `{"end":true}` + "\n",
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
		in := bufio.NewReader(bytes.NewReader(text))
		for {
			l, err := readLine[client.Event](in)
			if err != nil {
				break
			}
			require.NoError(t, l.write(io.Discard))
		}
	})
}
