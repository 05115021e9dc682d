// Package frame is what souk-egress, inside a container, and its node say to
// each other at the start of each connection over their socket: a header of
// four bytes one way, a status of one byte back, and then the connection's own
// bytes both ways.
//
// The header selects an entry of the allow-list by its place and can say
// nothing else: no name, no address, no port. It promises that reading it
// takes exactly four bytes, whatever they are.
package frame

import (
	"errors"
	"fmt"
	"io"
)

// Where things are inside a container.
const (
	Helper     = "/.souk/souk-egress"  // the program that listens for the job
	Folder     = "/.souk/egress"       // the folder that holds the socket
	SocketName = "socket"              // of the socket, in its folder on either side
	Socket     = Folder + "/socket"    // the socket
	Forward    = "forward"             // the helper's argument that makes it the forwarder
	MaxEntries = 32                    // of one allow-list
	HeaderSize = 4                     // bytes
	Separator  = "--"                  // between the helper's arguments and the job's program
	magic      = "sE"                  // the header's first two bytes
	version    = 1                     // its third; the last is the entry
	_          = uint8(MaxEntries - 1) // an entry fits its byte
)

// ErrHeader is a header that is none, or selects no entry.
var ErrHeader = errors.New("a connection through the egress socket starts with 's', 'E', 1 and the number of an entry of the allow-list, each one byte")

// Status is the node's answer to a header.
type Status byte

// The statuses. After any but Connected the connection ends.
const (
	Connected   Status = 1
	BadHeader   Status = 2 // no header, or of no entry
	Unknown     Status = 3 // the name has no address
	Forbidden   Status = 4 // the name leads only where no job may connect to
	Unreachable Status = 5 // nobody answered
	Busy        Status = 6 // too many connections at once
	Spent       Status = 7 // the bytes of this execution are used up
)

// String is the status in a sentence, without a full stop.
func (s Status) String() string {
	switch s {
	case Connected:
		return "connected"
	case BadHeader:
		return "the request was not understood"
	case Unknown:
		return "the name has no address"
	case Forbidden:
		return "the name leads to a private, local or reserved address, and jobs may not connect there"
	case Unreachable:
		return "nobody answered at this address"
	case Busy:
		return "too many connections are open; close some first"
	case Spent:
		return "the job has sent and received as many bytes as it may"
	}
	return fmt.Sprintf("unknown status %d", byte(s))
}

// WriteHeader asks for entry, counted from 0.
func WriteHeader(w io.Writer, entry int) error {
	if entry < 0 || entry >= MaxEntries {
		return ErrHeader
	}
	_, err := w.Write([]byte{magic[0], magic[1], version, byte(entry)})
	return err
}

// ReadHeader reads HeaderSize bytes and gives the entry, below entries, that
// they ask for. The error is ErrHeader, or the reader's.
func ReadHeader(r io.Reader, entries int) (int, error) {
	var b [HeaderSize]byte
	if _, err := io.ReadFull(r, b[:]); err != nil {
		return 0, err
	}
	if string(b[:2]) != magic || b[2] != version || int(b[3]) >= min(entries, MaxEntries) {
		return 0, ErrHeader
	}
	return int(b[3]), nil
}

// WriteStatus answers a header.
func WriteStatus(w io.Writer, s Status) error {
	_, err := w.Write([]byte{byte(s)})
	return err
}

// ReadStatus reads the answer to a header.
func ReadStatus(r io.Reader) (Status, error) {
	var b [1]byte
	_, err := io.ReadFull(r, b[:])
	return Status(b[0]), err
}
