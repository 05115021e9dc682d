package config_test

import (
	"fmt"
	"strings"
	"testing"

	"souk/internal/limit/limittest"
	"souk/node/config"
)

func TestLimits(t *testing.T) {
	limittest.Run(t, config.LimitRows(), map[string]limittest.Probe{
		"config file": func(t *testing.T, n int64) error {
			_, err := config.Load(config.Sources{DataDir: dir(t, "#"+strings.Repeat("x", int(n)-1))})
			return err
		},
		"leases at once on a device that is shared": func(t *testing.T, n int64) error {
			_, err := config.Load(config.Sources{DataDir: dir(t, fmt.Sprintf("devices: {shared: %d}\n", n))})
			return err
		},
	})
}
