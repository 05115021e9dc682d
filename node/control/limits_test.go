package control

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"souk/internal/limit/limittest"
)

func TestLimits(t *testing.T) {
	limittest.Run(t, LimitRows(), map[string]limittest.Probe{
		"question on the node's socket": func(t *testing.T, n int64) error {
			const around = len(`{"id":""}`)
			q := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/", strings.NewReader(`{"id":"`+strings.Repeat("x", int(n)-around)+`"}`))
			return readBody(httptest.NewRecorder(), q, &ref{})
		},
	})
}
