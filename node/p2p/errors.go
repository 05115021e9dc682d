package p2p

import "errors"

// What New refuses, all of them for the user to put right.
var (
	ErrKeyKind     = errors.New("wrong kind of key")
	ErrNetworkName = errors.New("bad network name")
	ErrAddress     = errors.New("bad address")
	ErrPortInUse   = errors.New("port in use")
)

// ErrKey is a part of a DHT key that isn't valid: a region, tier, slug or depth.
var ErrKey = errors.New("bad advertising key")

// ErrBlocked is a peer that this node refuses for now, because of what it did.
var ErrBlocked = errors.New("the peer is blocked for now")
