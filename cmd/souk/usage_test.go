package main

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestWrongUsesAreToldInWordsOfTheirOwn(t *testing.T) {
	d := newDesk(t)
	for _, c := range []struct {
		args []string
		want string
	}{
		{[]string{"job"}, "ID is missing; usage: souk job ID"},
		{[]string{"testnet", "kill"}, "NAME|PEER is missing; usage: souk testnet kill NAME|PEER"},
		{[]string{"receipts", "pay", "abc"}, "AMOUNT is missing; usage: "},
		{[]string{"outputs"}, "ID is missing; usage: "},
		{[]string{"job", "a", "b"}, `"b" is one argument too many; usage: souk job ID`},
		{[]string{"jobs", "a"}, `"a" is one argument too many; usage: souk jobs`},
		{[]string{"testnet", "up", "--tick", "1"}, `--tick: "1" is no time; write 1s for seconds`},
		{[]string{"testnet", "up", "--tick", "soon"}, `--tick: "soon" is no time; write a number and a unit, such as 90s or 10m`},
		{[]string{"testnet", "up", "--providers", "1.5"}, `--providers: "1.5" is no whole number`},
		{[]string{"provide", "--cpu", "1.5"}, `--cpu: "1.5" is no whole number`},
		{[]string{"provide", "--mdns=perhaps"}, `--mdns: "perhaps" is neither true nor false`},
		{[]string{"help", "nosuch"}, `unknown command "nosuch" for "souk"`},
		{[]string{"help", "job", "x"}, ""},
		{[]string{"help", "node", "dwn"}, `unknown command "dwn" for "souk node", did you mean down?`},
		{[]string{"help", "ofers"}, `did you mean offers?`},
		{[]string{"completion", "foo"}, `unknown command "foo" for "souk completion"`},
		{[]string{"completion", "bsh"}, `did you mean bash?`},
		{[]string{"help", "completion"}, ""},
		{[]string{"help", "help"}, ""},
		{[]string{"help"}, ""},
		{[]string{"completion", "bash"}, ""},
		{[]string{"completion"}, ""},
	} {
		want := exitUsage
		if c.want == "" {
			want = 0
		}
		require.Equal(t, want, d.souk(c.args...), "%v: %s", c.args, d.err.String())
		require.Contains(t, d.err.String(), c.want, c.args)
		require.Equal(t, c.want == "", d.err.Len() == 0, c.args)
	}
}
