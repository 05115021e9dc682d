package main

import (
	"testing"

	"github.com/stretchr/testify/require"

	"souk/node/client"
)

func TestOffersSayWhatAProviderGrants(t *testing.T) {
	head := offerHead()
	require.Equal(t, []string{"PROVIDER", "DEVICES", "RUNS", "REGION", "PRICE", "LOOPS/S", "EGRESS", "CHALLENGES", "WHY"}, head)
	row := offerRow(client.Candidate{Devices: "2x RTX 4090 24GiB (shared)", Egress: true, Challenge: "lease", Why: "the only one that fits"})
	require.Len(t, row, len(head))
	require.Equal(t, []string{"yes", "lease", "the only one that fits"}, row[6:])
	row = offerRow(client.Candidate{WhyNot: "it grants jobs no network, you need egress"})
	require.Equal(t, []string{"no", "–", "not: it grants jobs no network, you need egress"}, row[6:])
}
