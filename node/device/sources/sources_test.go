package sources

import (
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"souk/node/device"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// Whatever this machine has: looking for it breaks nothing, and what there is
// not is explained.
func TestEverySourceIsAsked(t *testing.T) {
	all, err := All("RTX 4090:2")
	require.NoError(t, err)
	v := device.NewInventory(device.Options{}, all...)
	findings, _ := v.Look(t.Context())
	simulated := 0
	for _, f := range findings {
		if f.Device.Kind == device.Simulated {
			simulated++
			require.True(t, f.Offered())
		}
	}
	require.Equal(t, 2, simulated)
	require.NotEmpty(t, v.Explain())
	require.NoError(t, v.Close())
	_, err = All("nonsense without memory")
	require.ErrorAs(t, err, new(*device.SyntaxError))
	only, err := Simulated("T4")
	require.NoError(t, err)
	require.Len(t, only, 1)
}
