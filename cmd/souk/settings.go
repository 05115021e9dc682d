package main

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"souk/node/config"
	"souk/node/control"
	"souk/protocol/wire"
)

// otherSettings is the code where the node that runs is set up in another way
// than a flag says.
const otherSettings wire.Code = "other_settings"

// settingsOf is how a node is set up, by the config keys that nodeFlags set.
func settingsOf(c config.Config) map[string]string {
	return map[string]string{
		"network": c.Network, "bootstrap": anyOrder(c.Bootstrap), "listen": anyOrder(c.Listen),
		"mdns": strconv.FormatBool(c.MDNS), "loopback": strconv.FormatBool(c.Loopback), "log_level": strings.ToLower(c.LogLevel.String()),
	}
}

func anyOrder(values []string) string {
	values = slices.Clone(values)
	slices.Sort(values)
	return strings.Join(values, ", ")
}

// sameSettings refuses a node that is set up in another way than cmd's flags
// say: they hold for a node that is started, and must not be lost on one that
// runs.
func sameSettings(ctx context.Context, c *control.Client, cfg config.Config, cmd *cobra.Command) error {
	want := settingsOf(cfg)
	var named []string
	given(cmd, configFlag, func(_, key string, _ []string) {
		if _, known := want[key]; known {
			named = append(named, key)
		}
	})
	if len(named) == 0 {
		return nil
	}
	status, err := c.Status(ctx)
	if err != nil {
		return err
	}
	var differ []string
	for _, key := range named {
		if has, told := status.Settings[key]; told && has != want[key] {
			differ = append(differ, fmt.Sprintf("%s %s and not %s", key, orNone(has), orNone(want[key])))
		}
	}
	if len(differ) == 0 {
		return nil
	}
	return wire.Refuse(otherSettings, "the node that runs on %s has %s", status.DataDir, strings.Join(differ, ", ")).
		Near("stop it with `souk node down`, leave the flag out, or use another --data-dir")
}

func orNone(s string) string {
	if s == "" {
		return "none"
	}
	return s
}
