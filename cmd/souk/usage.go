package main

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// usageError is a command line that can't be meant.
type usageError struct{ error }

func (e *usageError) Unwrap() error { return e.error }

func usage(format string, args ...any) error { return &usageError{fmt.Errorf(format, args...)} }

// usageArgs says in souk's words what check finds wrong: the argument that is
// missing, as the command's usage calls it, or the one that is too many.
func usageArgs(check cobra.PositionalArgs) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		err := check(cmd, args)
		if err == nil {
			return nil
		}
		names := argumentNames(cmd)
		switch {
		case len(args) < len(names):
			return usage("%s is missing; usage: %s", names[len(args)], cmd.UseLine())
		case len(args) > len(names):
			return usage("%q is one argument too many; usage: %s", args[len(names)], cmd.UseLine())
		}
		return usage("%w; usage: %s", err, cmd.UseLine())
	}
}

// argumentNames are the arguments in a command's usage, up to its first flag.
func argumentNames(cmd *cobra.Command) (names []string) {
	for _, word := range strings.Fields(cmd.Use)[1:] {
		if strings.HasPrefix(word, "-") {
			break
		}
		names = append(names, strings.Trim(word, "[]"))
	}
	return names
}

// flagError says in souk's words what is wrong with a flag.
func flagError(cmd *cobra.Command, err error) error {
	var bad *pflag.InvalidValueError
	if errors.As(err, &bad) {
		if why := notA(bad.GetFlag().Value.Type(), bad.GetValue()); why != "" {
			return usage("--%s: %s; usage: %s", bad.GetFlag().Name, why, cmd.UseLine())
		}
	}
	return usage("%w%s usage: %s", err, meantFlag(cmd, err), cmd.UseLine())
}

// notA is why a text is no value of a kind of flags.
func notA(kind, text string) string {
	switch kind {
	case "duration":
		if _, err := strconv.ParseFloat(text, 64); err == nil {
			return fmt.Sprintf("%.40q is no time; write %.40ss for seconds", text, text)
		}
		return fmt.Sprintf("%.40q is no time; write a number and a unit, such as 90s or 10m", text)
	case "int":
		return fmt.Sprintf("%.40q is no whole number", text)
	case "bool":
		return fmt.Sprintf("%.40q is neither true nor false", text)
	}
	return ""
}
