package p2p

import (
	"strings"

	"souk/internal/limit"
)

// LimitRows are this package's rows of the table of limits.
func LimitRows() []limit.Limit {
	const noStream, noConn = "the stream is reset", "the connection is closed"
	rows := limit.OnTheWire(
		limit.Of("streams of a peer, each way", PeerStreams, noStream),
		limit.Of("streams of a peer that has paid, and to one that is paid", RegularStreams, noStream),
	)
	rows = append(rows,
		limit.Size("memory of a peer's streams", PeerMemory, noStream),
		limit.Size("memory of such a peer's streams", RegularMemory, noStream),
		limit.Of("such peers at once", maxRegulars, "who became one first has a stranger's limits again"),
		limit.Of("connections of a peer", PeerConns, noConn),
		limit.Of("streams in all, each way", TotalStreams, noStream),
		limit.Of("streams in all that name no protocol, each way", UnnamedStreams, noStream),
		limit.Of("incoming streams in all of one protocol that isn't souk's", ForeignStreams, noStream),
		limit.Size("memory of all streams and connections", TotalMemory, noStream),
		limit.Of("connections in all", MaxConns, noConn),
	)
	for _, s := range serviceLimits() {
		name := strings.Split(string(s.protocol), "/")[2]
		rows = append(rows,
			limit.Of(name+" streams of a peer", int64(s.streamsPerPeer), noStream),
			limit.Of(name+" streams in all", int64(s.streams), noStream),
			limit.Size("memory of a peer's "+name+" streams", s.memoryPerPeerBytes, noStream),
			limit.Size("memory of all "+name+" streams", s.memory, noStream),
		)
	}
	return limit.In("node/p2p", append(rows,
		limit.Of("peers that are refused at once", maxBlocked, "the block that would end first makes room"),
		limit.Of("peers that one search yields", MaxFound, "the others are left out"),
		limit.Of("addresses kept of a peer", MaxPeerAddrs, "the others are left out"),
		limit.Of("addresses that a node announces", MaxAnnounced, "the others are left out"),
	)...)
}
