//go:build linux

package main

import (
	"encoding/json"
	"net"

	"souk/node/executor/wasm/control"
)

// conn is one node attached to this supervisor. A node that doesn't read
// loses intermediate statuses and holds up nothing.
type conn struct {
	net  net.Conn
	mail chan control.Status // holds the newest unsent status
}

// tell is called by the supervisor's loop only.
func (c *conn) tell(s control.Status) {
	select {
	case <-c.mail:
	default:
	}
	c.mail <- s
}

func (c *conn) write() {
	enc := json.NewEncoder(c.net)
	for s := range c.mail {
		if enc.Encode(s) != nil {
			c.net.Close()
			return
		}
	}
}

// adopt attaches a node.
func (s *supervisor) adopt(n net.Conn) *conn {
	c := &conn{net: n, mail: make(chan control.Status, 1)}
	s.conns[c] = struct{}{}
	s.orphan = nil
	go c.write()
	go s.read(c)
	return c
}

func (s *supervisor) read(c *conn) {
	dec := json.NewDecoder(c.net)
	for {
		var cmd control.Command
		if dec.Decode(&cmd) != nil {
			break
		}
		s.inbox <- func() { s.do(cmd) }
	}
	c.net.Close()
	s.inbox <- func() { s.lost(c) }
}

// found attaches a node that came back to the execution of that socket, and tells
// it where things stand.
func (s *supervisor) found(n net.Conn, l net.Listener) {
	if l != s.listener { // which is over
		n.Close()
		return
	}
	s.adopt(n).tell(s.status)
}

// accept serves nodes that come back. The socket ends with the execution.
func (s *supervisor) accept(l net.Listener) {
	for {
		n, err := l.Accept()
		if err != nil {
			return
		}
		s.inbox <- func() { s.found(n, l) }
	}
}
