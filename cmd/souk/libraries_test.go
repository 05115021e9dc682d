package main

import (
	"bytes"
	"log"
	"log/slog"
	"testing"

	"github.com/libp2p/go-libp2p/gologshim"
	"github.com/stretchr/testify/require"
)

func TestLibrariesLogThroughSouk(t *testing.T) {
	was, flags := log.Writer(), log.Flags()
	t.Cleanup(func() { log.SetOutput(was); log.SetFlags(flags) })
	for level, want := range map[slog.Level]int{slog.LevelInfo: 0, slog.LevelDebug: 2} {
		var out bytes.Buffer
		routeLogs(slog.New(slog.NewTextHandler(&out, &slog.HandlerOptions{Level: level})))
		log.Printf("[ERR] zeroconf: %d", 1)
		gologshim.Logger("test").With("a", 1).Error("from libp2p")
		require.Equal(t, want, bytes.Count(out.Bytes(), []byte("level=DEBUG")), out.String())
		require.Equal(t, want, bytes.Count(out.Bytes(), []byte("\n")), out.String())
	}
}
