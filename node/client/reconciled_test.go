package client

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// A lease that is lost while the status is exchanged may have come too late for it.
func TestWhatIsAskedForDuringAnExchangeIsNotForgotten(t *testing.T) {
	var r reconciled
	began := r.begin()
	r.askAgain("lender")
	r.finish("lender", began)
	require.False(t, r.is("lender"))
	r.finish("lender", r.begin())
	require.True(t, r.is("lender"))
	r.askAgain("another")
	require.True(t, r.is("lender"))
}
