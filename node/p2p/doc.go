// Package p2p is souk's place on the network: one libp2p host, one Kademlia
// DHT for one souk network, and what keeps both alive (bootstrap, discovery on
// the local network, advertising, reachability).
//
// It promises:
//   - a network's nodes never mix with another's: its name is in the DHT
//     protocol, in the mDNS service and in every key;
//   - every resource that a peer can take has a limit with a name (limits.go);
//   - in loopback mode no packet leaves the machine: only loopback addresses
//     are listened on, dialled, accepted or believed, and no DNS is asked;
//   - an unreachable bootstrap is no error: it is tried again, and
//     [Node.Bootstrap] says why it failed last;
//   - [Node.Close] ends every goroutine that this package started.
//
// It never reads a souk document, never stores values in the DHT, and never
// takes what the DHT says for more than a hint: [Node.Find] yields candidates.
//
// Keys (DESIGN §7) are text, hashed to CIDv1(raw, sha2-256). Where the design
// leaves the text open, this package fixes it: depth and shard are decimal
// without leading zeros, shard 0 at depth 0; a peer ID is hashed in its binary
// form; the daily sample at depth 0 hashes the binary peer ID, the text of the
// key at depth 0 and the UTC day as 2006-01-02, with nothing in between.
package p2p
