package main

import (
	"context"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"
)

const version = "0.1.0"

// commit is the revision that souk was built from, "" if the build doesn't know.
func commit() string {
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, s := range info.Settings {
			if s.Key == "vcs.revision" {
				return s.Value
			}
		}
	}
	return ""
}

func (a *app) versionCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Print souk's version",
		Args:  usageArgs(cobra.NoArgs),
		RunE: a.action(func(context.Context, *cobra.Command, []string) error {
			text := "souk " + version
			if c := commit(); c != "" {
				text += " (" + c[:min(len(c), 12)] + ")"
			}
			return a.say(text+" "+runtime.Version(), map[string]any{"version": version, "commit": commit(), "go": runtime.Version()})
		}),
	}
}
