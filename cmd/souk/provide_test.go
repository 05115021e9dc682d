package main

import (
	"testing"

	"github.com/stretchr/testify/require"

	"souk/node/config"
	"souk/node/control"
)

func TestAPriceThatWasRoundedUpSaysSo(t *testing.T) {
	o := control.Supply{Asked: *amount(400_000), PricePerHour: *amount(403_200)}
	require.Equal(t, "0.4032/h (0.40/h rounded up to whole millionths of a USD a tick)", asksText(o))
	o.Asked = o.PricePerHour
	require.Equal(t, "0.4032/h", asksText(o))
}

func TestWithoutAPriceTheConfigFileIsNamed(t *testing.T) {
	d := newDesk(t)
	require.Equal(t, exitUsage, d.souk("provide"))
	require.Contains(t, d.err.String(), "provider.price in "+config.File(d.dir))
}

func TestAProviderNamesTheUnitsOfItsSizes(t *testing.T) {
	d := newDesk(t)
	require.Equal(t, exitSouk, d.souk("provide", "--price", "1/h", "--memory", "8"))
	require.Contains(t, d.err.String(), "--memory: provider.memory: 8 is 8 bytes: write 8GiB")
}
