package main

import (
	"io"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestAddingABlobIsMeasuredAgainstHashingIt(t *testing.T) {
	results, err := blobAdd(t.Context(), io.Discard, 4<<20)
	require.NoError(t, err)
	require.Len(t, results, 2)
	require.Positive(t, results[0].Value)
	require.Positive(t, results[0].Limit)
	require.InDelta(t, results[0].Value/results[0].Limit, results[0].Ratio, 1e-9)
}
