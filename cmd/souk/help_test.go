package main

import (
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"github.com/stretchr/testify/require"

	"souk/node/client"
	"souk/node/control"
)

// Help writes the first word of a text with a capital and the rest of it
// small, which spoils all but plain words.
func TestTextsOfHelpBeginWithPlainWords(t *testing.T) {
	plain := regexp.MustCompile(`^[A-Z]?[a-z'-]*$`)
	first := func(text string) string { return strings.Trim(strings.Fields(text)[0], ",;:") }
	var walk func(c *cobra.Command)
	walk = func(c *cobra.Command) {
		require.Regexp(t, plain, first(c.Short), c.CommandPath())
		c.Flags().VisitAll(func(f *pflag.Flag) {
			require.Regexp(t, plain, first(f.Usage), "%s --%s", c.CommandPath(), f.Name)
			require.NotRegexp(t, `[/=:]`, strings.Fields(f.Usage)[0], "%s --%s", c.CommandPath(), f.Name)
		})
		for _, sub := range c.Commands() {
			walk(sub)
		}
	}
	walk((&app{}).root())
}

func TestTheFirstScreenIsForThreeUsers(t *testing.T) {
	d := newDesk(t)
	require.Zero(t, d.souk())
	for _, want := range []string{"FOR CLIENTS", "FOR PROVIDERS", "TO TRY IT OUT", "FOR EVERY NODE", "souk provide --price 0.40/h", "souk testnet up"} {
		require.Contains(t, d.out.String(), want)
	}
	require.NotContains(t, d.out.String(), "COMMANDS", "each command is for somebody")
	require.Zero(t, d.souk("run", "--help"))
	require.NotRegexp(t, `--.*MODULE.*--flags`, d.out.String(), "flags behind -- would be the job's")
}

func TestHintsNameTheFolder(t *testing.T) {
	for dir, want := range map[string]string{
		"": "souk testnet run JOB.yaml\n", "/tmp/x": "souk testnet run --dir /tmp/x JOB.yaml\n", "/it's": `souk testnet down --dir '/it'\''s'` + "\n",
	} {
		up, _, err := (&app{}).root().Find([]string{"testnet", "up"})
		require.NoError(t, err)
		if dir != "" {
			require.NoError(t, up.ParseFlags([]string{"--dir", dir}))
		}
		require.Contains(t, hints(up), want)
	}
}

func TestNothingIsSaidTwice(t *testing.T) {
	d := newDesk(t)
	for _, state := range []string{"agreed", "preparing"} {
		d.node.events <- client.Event{Kind: client.StateIs, State: state, Text: "waiting for the inputs"}
	}
	d.node.events <- client.Event{Kind: client.Ended, Attempt: 1, Outcome: "succeeded", Text: "succeeded with exit code 0", Charged: amount(2)}
	d.ends(client.Event{Exit: code(0), Source: "job", Text: "succeeded with exit code 0", Spent: amount(2)})
	require.Zero(t, d.souk("run", "job.yaml"))
	require.Contains(t, d.err.String(), "execution 1 ended: succeeded with exit code 0; it cost 0.000002 USD\n")
	require.Contains(t, d.err.String(), "done, exit code 0, spent 0.000002 USD\n")
	require.Equal(t, 1, strings.Count(d.err.String(), "waiting for the inputs\n"))
	require.Equal(t, "cancelled by the client", endText("cancelled", "cancelled: cancelled by the client"))
	require.Equal(t, "lost: it was silent", endText("lost", "it was silent"))
}

func TestAJobThatHadNowhereToWriteIsToldSo(t *testing.T) {
	const hint, flag = "`outputs: /out` gives it one", "`--outputs /out` gives it one"
	d := newDesk(t)
	d.ends(client.Event{Exit: code(1), Source: "job"})
	require.Equal(t, 1, d.souk("run", "--total", "0.1", "--", "m.wasm"))
	require.Contains(t, d.err.String(), flag)
	d = newDesk(t)
	require.NoError(t, os.WriteFile("bare.yaml", []byte("task: {wasm: m.wasm}\nlimits: {total: 0.10}\n"), 0o600))
	d.ends(client.Event{Exit: code(1), Source: "job"})
	require.Equal(t, 1, d.souk("run", "bare.yaml"))
	require.Contains(t, d.err.String(), hint)
	d = newDesk(t)
	d.ends(client.Event{Exit: code(1), Source: "job"})
	require.Equal(t, 1, d.souk("run", "job.yaml"))
	require.NotContains(t, d.err.String(), hint, "that one names a folder")
}

func TestLogsOfTwoExecutionsAreToldApart(t *testing.T) {
	d := newDesk(t)
	d.node.jobs = []control.JobInfo{{ID: "job1", Executions: []control.ExecutionInfo{{Attempt: 1, LogBytes: 4}, {Attempt: 2, LogBytes: 4}}}}
	for i, peer := range []string{"a", "b"} {
		d.node.events <- client.Event{Kind: client.Leased, Attempt: i + 1, Peer: peer, Lease: "l"}
		d.node.events <- client.Event{Kind: client.LogData, Attempt: i + 1, Data: []byte("log\n")}
	}
	close(d.node.events)
	require.Zero(t, d.souk("logs", "job1"), d.err.String())
	require.Equal(t, "log\nlog\n", d.out.String())
	require.Regexp(t, `(?s)execution 1 on a .*execution 2 on b `, d.err.String())
}
