package forward

import (
	"io"
	"net"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"souk/internal/limit/limittest"
	"souk/node/executor/docker/egress/frame"
)

func TestLimits(t *testing.T) {
	limittest.Run(t, LimitRows(), map[string]limittest.Probe{
		"connections of a job that its container keeps": func(t *testing.T, n int64) (err error) {
			synctest.Test(t, func(t *testing.T) {
				l := &crowd{left: n, over: make(chan struct{})}
				f := newForward(0, "example.com:443", newSlots(), io.Discard)
				f.patience = time.Second
				served := make(chan struct{})
				go func() { defer close(served); f.serve(l) }()
				synctest.Wait() // each that was taken waits for a node, and there is none
				err = limittest.Refused(l.left == 0)
				l.left = 0
				l.Close()
				<-served
			})
			return err
		},
		"a node's restart while a job connects somewhere": func(t *testing.T, n int64) (err error) {
			synctest.Test(t, func(t *testing.T) {
				began := time.Now()
				f := newForward(0, "example.com:443", nil, io.Discard)
				_, err = f.askBy(func() (*net.UnixConn, frame.Status, error) {
					if time.Since(began) < limittest.Wait(n) {
						return nil, 0, syscall.ENOENT
					}
					return nil, frame.Connected, nil
				})
			})
			return err
		},
		"a node's answer to a job that connects somewhere": func(t *testing.T, n int64) (err error) {
			synctest.Test(t, func(t *testing.T) {
				here, there := net.Pipe()
				defer here.Close()
				done := make(chan struct{})
				go func() {
					defer close(done)
					if _, err := frame.ReadHeader(there, frame.MaxEntries); err == nil {
						<-time.After(limittest.Wait(n))
						frame.WriteStatus(there, frame.Connected) //nolint:errcheck // the probe sees it
					}
				}()
				_, err = newForward(0, "example.com:443", nil, io.Discard).greet(here)
				here.Close()
				<-done
			})
			return err
		},
	})
}

// crowd is a listener to which so many connect at once, and nobody later.
type crowd struct {
	left int64
	over chan struct{}
}

func (c *crowd) Accept() (net.Conn, error) {
	if c.left == 0 {
		<-c.over
		return nil, net.ErrClosed
	}
	c.left--
	return &net.TCPConn{}, nil // closed
}

func (c *crowd) Close() error   { close(c.over); return nil }
func (c *crowd) Addr() net.Addr { return nil }
