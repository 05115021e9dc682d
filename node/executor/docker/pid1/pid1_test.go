package pid1_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"souk/node/executor/docker/pid1"
)

func TestOrdersArriveAsTheyWereSent(t *testing.T) {
	sent := pid1.Orders{Limit: 90 * time.Second, Gone: 10 * time.Minute, Sign: "/.souk-x/alive/sign"}
	got, program, err := pid1.Parse(append(sent.Args(), "sh", "-c", "--", "-limit=1s"))
	require.NoError(t, err)
	require.Equal(t, sent, got)
	require.Equal(t, []string{"sh", "-c", "--", "-limit=1s"}, program, "what follows is the job's")
}

func TestOrdersThatAreNone(t *testing.T) {
	for _, args := range [][]string{
		nil,
		{"--", "sh"},
		{"-limit=1s", "-gone=1s", "-sign=x", "--"},
		{"-limit=1s", "-gone=1s", "-sign=x", "sh"},
		{"-limit=0s", "-gone=1s", "-sign=x", "--", "sh"},
		{"-limit=1s", "-gone=-1s", "-sign=x", "--", "sh"},
		{"-limit=1s", "-gone=1s", "--", "sh"},
		{"-limit=1s", "-gone=1s", "-sign=x", "more", "--", "sh"},
		{"-limit=soon", "-gone=1s", "-sign=x", "--", "sh"},
	} {
		_, _, err := pid1.Parse(args)
		require.Error(t, err, args)
	}
}

func TestCoveredVariablesComeBack(t *testing.T) {
	require.True(t, pid1.Covered("GODEBUG"))
	require.False(t, pid1.Covered("GOPATH"), "it steers no program that was built")
	require.Equal(t, []string{"A=b", "GODEBUG=schedtrace=1"}, pid1.Uncover([]string{"A=b", pid1.Cover("GODEBUG") + "=schedtrace=1"}))
}
