package docker

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"souk/internal/limit/limittest"
)

// asking asks a registry, which is reached after so long and which serve is on
// the other end of, for something, and gives how many bytes were answered.
func asking(t *testing.T, url string, after time.Duration, serve func(net.Conn)) (read int64, err error) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		var served sync.WaitGroup
		defer served.Wait()
		way := newGuarded(func(ctx context.Context, _, _ string) (net.Conn, error) {
			select {
			case <-time.After(after):
			case <-ctx.Done():
				return nil, ctx.Err()
			}
			here, there := net.Pipe()
			served.Go(func() { defer there.Close(); serve(there) })
			return here, nil
		})
		defer way.close()
		q, e := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
		require.NoError(t, e)
		answer, e := way.RoundTrip(q)
		if err = e; err == nil {
			defer answer.Body.Close()
			read, err = io.Copy(io.Discard, answer.Body)
		}
	})
	return read, err
}

// heard reads a request to its end.
func heard(c net.Conn) bool {
	_, err := http.ReadRequest(bufio.NewReader(c))
	return err == nil
}

const noBody = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"

// answerNothing answers with nothing.
func answerNothing(c net.Conn) {
	if heard(c) {
		io.WriteString(c, noBody) //nolint:errcheck // the probe sees it
	}
}

// registryProbes go over what bounds a registry.
func registryProbes() map[string]limittest.Probe {
	const url = "http://registry.example/v2/"
	server := httptest.NewTLSServer(nil)
	server.Close()
	untrusted := server.TLS
	return map[string]limittest.Probe{
		"reaching an image's registry": func(t *testing.T, n int64) error {
			_, err := asking(t, url, limittest.Wait(n), answerNothing)
			return err
		},
		"TLS handshake of an image's registry": func(t *testing.T, n int64) error {
			_, err := asking(t, strings.Replace(url, "http:", "https:", 1), 0, func(c net.Conn) {
				<-time.After(limittest.Wait(n))
				tls.Server(c, untrusted).Handshake() //nolint:errcheck // the probe sees it
			})
			var unknown *tls.CertificateVerificationError
			if errors.As(err, &unknown) {
				return nil // it was waited for
			}
			return err
		},
		"question to an image's registry, to the head of its answer": func(t *testing.T, n int64) error {
			_, err := asking(t, url, 0, func(c net.Conn) {
				if heard(c) {
					<-time.After(limittest.Wait(n))
					io.WriteString(c, noBody) //nolint:errcheck // the probe sees it
				}
			})
			return err
		},
		"head of a registry's answer": func(t *testing.T, n int64) error {
			_, err := asking(t, url, 0, func(c net.Conn) {
				const head, end = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nX: ", "\r\n\r\n"
				if heard(c) {
					io.WriteString(c, head+strings.Repeat("x", int(n)-len(head+end))+end) //nolint:errcheck // the probe sees it
				}
			})
			return err
		},
		"registry's answer that is no layer": func(t *testing.T, n int64) error {
			read, err := asking(t, url, 0, func(c net.Conn) {
				if heard(c) {
					fmt.Fprintf(c, "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s", n, strings.Repeat("x", int(n)))
				}
			})
			require.NoError(t, err)
			return limittest.Refused(read == n)
		},
		"silence of an image's registry": func(t *testing.T, n int64) error {
			_, err := asking(t, url, 0, func(c net.Conn) {
				if heard(c) {
					io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n") //nolint:errcheck // the probe sees it
					<-time.After(limittest.Wait(n))
					io.WriteString(c, "x") //nolint:errcheck // as above
				}
			})
			return err
		},
	}
}
