package p2p

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// A look at a large table stops at what it needs to know.
func TestALookAtTheTableIsBounded(t *testing.T) {
	hub := newNode(t)
	for range 3 {
		newNode(t, joining(hub))
	}
	eventually(t, "three peers are there", func() bool { return len(hub.tablePeers()) == 3 })
	require.Len(t, hub.someTablePeers(2), 2)
	require.Len(t, hub.someTablePeers(3), 3)
	require.Empty(t, hub.someTablePeers(0))

	grown := hub.grown.next()
	known := hub.lookAtTable(nil)
	require.Len(t, known, 3)
	require.True(t, fired(grown), "there was nobody before")
	for p := range known {
		delete(known, p)
		break
	}
	grown = hub.grown.next()
	require.Len(t, hub.lookAtTable(known), 3)
	require.True(t, fired(grown), "one is new")
}

func fired(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}
