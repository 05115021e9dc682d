package main

import (
	"slices"
	"strings"
)

// heard are the arguments as they are acted on: a request for the help of a
// command that doesn't exist is a use of that command, and so an error, and
// not a request for the help of the group where it isn't. `help` in front asks
// for the same as --help behind.
func heard(args []string) []string {
	root := (&app{}).root() // parsing must not touch a
	root.InitDefaultHelpCmd()
	cmd, rest, err := root.Find(args)
	used := args
	if err == nil && cmd.Parent() == root && cmd.Name() == "help" {
		used = rest
		cmd, rest, err = root.Find(used)
	}
	if err != nil || !cmd.HasSubCommands() {
		return args
	}
	cmd.InitDefaultHelpFlag()
	if cmd.ParseFlags(rest) != nil || cmd.Flags().NArg() == 0 || strings.HasPrefix(cmd.Flags().Arg(0), "__") {
		return args
	}
	return slices.DeleteFunc(slices.Clone(used), func(s string) bool { return s == "-h" || s == "--help" })
}
