package ledger

import (
	"encoding/binary"
	"fmt"
	"unicode/utf8"

	"souk/protocol/market"
)

// The first byte of a key names what is there. Numbers are big-endian, so that
// keys sort as the records do; newest first is the complement. Only the last
// part of a key may vary in length.
const (
	quoteKey        = 'q' // quote hash
	leaseKey        = 'l' // role, lease hash
	leaseByAge      = 't' // role, ^created, lease hash: index
	leaseLive       = 'a' // role, lease hash: index
	leaseByChannel  = 'k' // role, channel ID, lease hash: index
	receiptKey      = 'r' // role, lease hash, seq
	channelKey      = 'c' // role, channel ID
	aheadKey        = 's' // role: the sum that Ahead gives
	voucherKey      = 'v' // role, channel ID, number from 0
	jobKey          = 'j' // job ID
	jobByAge        = 'o' // ^created, job ID: index
	peerKey         = 'p' // peer ID
	metaKey         = 'm' // name
	maxName         = 512 // bytes of an ID or name
	hashLen         = len(market.Hash{})
	ageLen          = 8
	roleKeyOverhead = 2 // kind and role
)

type key []byte

// String shows a key in an error: its kind, the rest in hexadecimal.
func (k key) String() string {
	if len(k) == 0 {
		return "(empty key)"
	}
	return fmt.Sprintf("%c/%x", k[0], []byte(k[1:]))
}

func (k key) hash(h market.Hash) key { return append(k, h[:]...) }
func (k key) uint32(n uint32) key    { return binary.BigEndian.AppendUint32(k, n) }
func (k key) uint64(n uint64) key    { return binary.BigEndian.AppendUint64(k, n) }

// end is the first key after all those that begin with k.
func (k key) end() []byte {
	end := append([]byte(nil), k...)
	for i := len(end) - 1; i >= 0; i-- {
		if end[i]++; end[i] != 0 {
			return end[:i+1]
		}
	}
	return nil
}

func roleKey(kind byte, r Role) (key, error) {
	switch r {
	case Provider:
		return key{kind, 'p'}, nil
	case Client:
		return key{kind, 'c'}, nil
	}
	return nil, fmt.Errorf("no role is named %.32q, only %q and %q", string(r), Provider, Client)
}

func roleHashKey(kind byte, r Role, h market.Hash) (key, error) {
	k, err := roleKey(kind, r)
	return k.hash(h), err
}

func nameKey(kind byte, name string) (key, error) {
	if name == "" || len(name) > maxName || !utf8.ValidString(name) {
		return nil, fmt.Errorf("%.64q can't name a record: 1 to %d bytes of UTF-8 can", name, maxName)
	}
	return append(key{kind}, name...), nil
}

// lastHash is the hash at a key's end.
func lastHash(k []byte) (h market.Hash) {
	copy(h[:], k[len(k)-hashLen:])
	return h
}
