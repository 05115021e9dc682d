// Package forward is what souk-egress does inside a container once it listens for
// the job: it brings each of the job's connections to the node's socket.
//
// It promises that what broke off outside doesn't look complete inside, that a
// node which is being restarted is waited for, and that the job's log has one line
// for each reason why there was no connection. It is in the same jail as the job
// and is trusted with nothing.
package forward

import (
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"souk/node/executor/docker/egress/frame"
)

const (
	// maxConnections keeps a job that opens more than its node carries from
	// filling its own memory here.
	maxConnections = 512
	// A node that is being restarted is back within this time.
	reconnectFor   = 20 * time.Second
	reconnectAfter = 100 * time.Millisecond
	// The node answers within its own look-up and dialling, 15 s.
	answerTimeout = 30 * time.Second
)

// Serve brings what connects to the listeners to the node: each is an entry of the
// allow-list, in its order, with its name. It tells the job's user why there is no
// connection, and returns when all listeners are closed.
func Serve(names []string, listeners []net.Listener, tell io.Writer) {
	slots := newSlots()
	var all sync.WaitGroup
	for i, l := range listeners {
		f := newForward(i, names[i], slots, tell)
		all.Go(func() { f.serve(l) })
	}
	all.Wait()
}

// forward brings the connections of one entry to the node.
type forward struct {
	entry    int
	name     string
	slots    chan struct{} // one for each open connection
	socket   string
	patience time.Duration // for a node that isn't there
	tell     io.Writer     // where the job's user reads why there is no connection
	told     atomic.Uint64 // a bit for each status that was told of, bit 0 for a lost node
}

func newSlots() chan struct{} { return make(chan struct{}, maxConnections) }

func newForward(entry int, name string, slots chan struct{}, tell io.Writer) *forward {
	return &forward{entry: entry, name: name, slots: slots, socket: frame.Socket, patience: reconnectFor, tell: tell}
}

// serve ends when listener is closed.
func (f *forward) serve(listener net.Listener) {
	var open sync.WaitGroup
	defer open.Wait()
	for {
		f.slots <- struct{}{}
		conn, err := listener.Accept()
		if err != nil {
			<-f.slots
			if errors.Is(err, net.ErrClosed) {
				return
			}
			time.Sleep(reconnectAfter) // out of file descriptors, most likely
			continue
		}
		open.Go(func() {
			defer func() { <-f.slots }()
			f.carry(conn.(*net.TCPConn))
		})
	}
}

// carry serves one connection of the job.
func (f *forward) carry(job *net.TCPConn) {
	defer job.Close()
	node, err := f.ask()
	if err != nil {
		job.SetLinger(0) //nolint:errcheck // the job sees a closed connection instead of a reset one
		return
	}
	defer node.Close()
	var both sync.WaitGroup
	var said atomic.Bool // the job said all that it has to say
	both.Go(func() {
		_, err := io.Copy(node, job)
		said.Store(err == nil)
		if err != nil || node.CloseWrite() != nil {
			node.Close()
		}
	})
	both.Go(func() {
		_, err := io.Copy(job, node)
		// What broke off outside must not look complete in here. In this order:
		// once all is said, closing for writing looks like hanging up.
		if hung := frame.Hung(node); err != nil || hung && !said.Load() {
			job.SetLinger(0) //nolint:errcheck // as above
			job.Close()
			return
		}
		job.CloseWrite() //nolint:errcheck // the job has closed it, then
	})
	both.Wait()
}

// ask gives a connection to this entry's place through the node, or tells the
// job's user why there is none. A node that isn't there, or goes before it
// answers, gets some time to come back: nothing of the job's was sent yet.
func (f *forward) ask() (*net.UnixConn, error) { return f.askBy(f.try) }

func (f *forward) askBy(try func() (*net.UnixConn, frame.Status, error)) (*net.UnixConn, error) {
	give := time.Now().Add(f.patience)
	for {
		conn, status, err := try()
		switch {
		case err == nil && status == frame.Connected:
			return conn, nil
		case err == nil:
			f.say(status, fmt.Sprintf("%s can't be reached: %s", f.name, status))
			return nil, errors.New(status.String())
		case !away(err) || !time.Now().Before(give):
			f.say(0, fmt.Sprintf("%s can't be reached, because the provider's node doesn't answer: %v", f.name, err))
			return nil, err
		}
		time.Sleep(min(reconnectAfter, time.Until(give)))
	}
}

// away says whether err is what a node leaves behind that is being restarted.
func away(err error) bool {
	for _, e := range []error{io.EOF, io.ErrUnexpectedEOF, syscall.ENOENT, syscall.ECONNREFUSED, syscall.ECONNRESET, syscall.EPIPE, syscall.EAGAIN} {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}

// try asks the node once. The connection is nil unless it is Connected.
func (f *forward) try() (*net.UnixConn, frame.Status, error) {
	conn, err := net.DialUnix("unix", nil, &net.UnixAddr{Name: f.socket, Net: "unix"})
	if err != nil {
		return nil, 0, err
	}
	status, err := f.greet(conn)
	if err != nil || status != frame.Connected {
		conn.Close()
		return nil, status, err
	}
	return conn, status, nil
}

func (f *forward) greet(conn net.Conn) (frame.Status, error) {
	if err := conn.SetDeadline(time.Now().Add(answerTimeout)); err != nil {
		return 0, err
	}
	// A node that is busy says so before it is asked.
	asked := frame.WriteHeader(conn, f.entry)
	status, err := frame.ReadStatus(conn)
	if err != nil {
		return 0, errors.Join(asked, err)
	}
	return status, conn.SetDeadline(time.Time{})
}

// say writes one line for each status, and no more.
func (f *forward) say(status frame.Status, line string) {
	bit := uint64(1) << (status % 64)
	if f.told.Or(bit)&bit == 0 {
		fmt.Fprintln(f.tell, "souk-egress:", line)
	}
}
