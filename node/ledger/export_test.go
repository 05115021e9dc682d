package ledger

import (
	"encoding/binary"
	"testing"

	"github.com/cockroachdb/pebble/v2"
	"github.com/stretchr/testify/require"
)

// DropTally makes of a ledger's store one of before there were tallies.
func DropTally(l *Ledger) error { return l.db.Delete(tallyKey, pebble.Sync) }

// Tally is what its store counts.
func Tally(t *testing.T, l *Ledger) uint64 {
	t.Helper()
	value, closer, err := l.db.Get(tallyKey)
	require.NoError(t, err)
	defer func() { require.NoError(t, closer.Close()) }()
	return binary.BigEndian.Uint64(value)
}
