package device

import (
	"os"
	"testing"

	"github.com/ipfs/go-cid"
	"github.com/multiformats/go-multihash"
	"github.com/stretchr/testify/require"
)

// Another implementation has the loop from the page, by which offers are compared.
func TestThePageNamesTheLoop(t *testing.T) {
	t.Parallel()
	sum, err := multihash.Sum(Loop(), multihash.SHA2_256, -1)
	require.NoError(t, err)
	page, err := os.ReadFile("../../docs/spec.md")
	require.NoError(t, err)
	require.Contains(t, string(page), cid.NewCidV1(cid.Raw, sum).String())
}
