package crashpoint_test

import (
	"encoding/binary"

	"github.com/libp2p/go-libp2p/core/peer"
	"google.golang.org/protobuf/proto"
)

// meddler sees each message on its way, and gives what arrives of it; nil: nothing.
type meddler func(s *memStream, m proto.Message) proto.Message

// meddleWith lets a meddler at the messages from now on; nil: nobody.
func (w *web) meddleWith(m meddler) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.meddle = m
}

// cut takes a host off the network; its streams break off.
func (w *web) cut(p peer.ID) {
	w.mu.Lock()
	w.apart = p
	h := w.hosts[p]
	w.mu.Unlock()
	if h != nil {
		h.mu.Lock()
		defer h.mu.Unlock()
		h.breakOffLocked()
	}
}

// heal brings it back.
func (w *web) heal() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.apart = ""
}

// arrives is the frame that comes of one, nil if none does.
func (w *web) arrives(s *memStream, m proto.Message, frame []byte) ([]byte, error) {
	w.mu.Lock()
	meddle := w.meddle
	w.mu.Unlock()
	if meddle == nil || m == nil {
		return frame, nil
	}
	other := meddle(s, m)
	switch other {
	case m:
		return frame, nil
	case nil:
		return nil, nil
	}
	raw, err := proto.Marshal(other)
	return append(binary.AppendUvarint(nil, uint64(len(raw))), raw...), err
}
