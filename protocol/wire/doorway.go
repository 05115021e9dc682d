package wire

import (
	"slices"
	"sync"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
)

// doorway has the streams of one protocol whose first frame isn't read yet.
// They cost a peer nothing, so that some peers together could hold all streams
// that a service has. One more than MaxOpening pushes one out: of the peer that
// has the most of them, the one that has waited longest.
type doorway struct {
	mu      sync.Mutex
	waiting []*Stream // in the order in which they came
}

// enter lets a stream wait for its first frame, until leave or until it is
// pushed out: reset, as one that there is no room for, so that a client with
// many honest questions at once asks again.
func (d *doorway) enter(s *Stream) {
	if out := d.add(s); out != nil {
		out.resetFor(network.StreamResourceLimitExceeded)
	}
}

func (d *doorway) add(s *Stream) (pushedOut *Stream) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.waiting = append(d.waiting, s)
	if len(d.waiting) <= MaxOpening {
		return nil
	}
	i := crowding(d.waiting)
	pushedOut = d.waiting[i]
	d.waiting = slices.Delete(d.waiting, i, i+1)
	return pushedOut
}

// leave is called when a stream's first frame is there, and when the stream
// ends; it does nothing the second time.
func (d *doorway) leave(s *Stream) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if i := slices.Index(d.waiting, s); i >= 0 {
		d.waiting = slices.Delete(d.waiting, i, i+1)
	}
}

// crowding is the place of the stream that makes room.
func crowding(waiting []*Stream) (first int) {
	of := make(map[peer.ID]int)
	for _, s := range waiting {
		of[s.Peer()]++
	}
	for i, s := range waiting {
		if of[s.Peer()] > of[waiting[first].Peer()] {
			first = i
		}
	}
	return first
}
