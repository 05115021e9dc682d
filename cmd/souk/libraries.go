package main

import (
	"context"
	"log"
	"log/slog"

	golog "github.com/ipfs/go-log/v2"
	"github.com/libp2p/go-libp2p/gologshim"
)

// routeLogs sends what the libraries log, each in its own way, to souk's log,
// at debug: what of it matters to a user souk says itself. It holds for the
// whole process, before a node is started in it.
func routeLogs(to *slog.Logger) {
	quiet := asDebug{to.Handler()}
	gologshim.SetDefaultHandler(quiet) // go-libp2p
	log.SetFlags(0)
	log.SetOutput(slog.NewLogLogger(quiet, slog.LevelDebug).Writer()) // zeroconf
	if !quiet.Enabled(context.Background(), slog.LevelDebug) {
		golog.SetAllLoggers(golog.LevelFatal) // kad-dht and boxo write to standard error
	}
}

// asDebug is a handler that takes every record as one for debugging.
type asDebug struct{ slog.Handler }

func (h asDebug) Enabled(ctx context.Context, _ slog.Level) bool {
	return h.Handler.Enabled(ctx, slog.LevelDebug)
}

func (h asDebug) Handle(ctx context.Context, r slog.Record) error {
	r.Level = slog.LevelDebug
	return h.Handler.Handle(ctx, r)
}

func (h asDebug) WithAttrs(attrs []slog.Attr) slog.Handler {
	return asDebug{h.Handler.WithAttrs(attrs)}
}

func (h asDebug) WithGroup(name string) slog.Handler { return asDebug{h.Handler.WithGroup(name)} }
