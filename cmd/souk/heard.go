package main

import (
	"slices"
	"strings"
)

// heard are the arguments as they are acted on: a request for the help of a
// command that doesn't exist is a use of that command, and so an error, and
// not a request for the help of the group where it isn't.
func heard(args []string) []string {
	root := (&app{}).root() // parsing must not touch a
	root.InitDefaultHelpCmd()
	root.InitDefaultCompletionCmd(args...)
	cmd, rest, err := root.Find(args)
	if err != nil || !cmd.HasSubCommands() {
		return args
	}
	cmd.InitDefaultHelpFlag()
	if cmd.ParseFlags(rest) != nil || cmd.Flags().NArg() == 0 || strings.HasPrefix(cmd.Flags().Arg(0), "__") {
		return args
	}
	return slices.DeleteFunc(slices.Clone(args), func(s string) bool { return s == "-h" || s == "--help" })
}
