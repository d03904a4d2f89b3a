package cmd

import (
	"fmt"
	"slices"

	"github.com/spf13/cobra"
)

// takes accepts so many arguments and else says what they are.
func takes(n int, what string) cobra.PositionalArgs {
	return func(c *cobra.Command, args []string) error {
		if len(args) != n {
			return fmt.Errorf("%s takes %s, not %s", c.CommandPath(), what, counted(len(args), "argument", "arguments"))
		}
		return nil
	}
}

// takesNothing accepts no argument. Of a verb with verbs below it the first one
// may be a misspelt one.
func takesNothing(c *cobra.Command, args []string) error {
	switch {
	case len(args) == 0:
		return nil
	case c.HasSubCommands():
		return fmt.Errorf("unknown command %q for %q", args[0], c.CommandPath())
	default:
		return fmt.Errorf("%s takes no arguments, and %q is one", c.CommandPath(), args[0])
	}
}

// dashed marks a value of settings set that begins with "-" as one: no flag of that
// verb is that short, but -h.
func dashed(args []string) []string {
	if len(args) < 2 || args[0] != "settings" || args[1] != "set" || slices.Contains(args, "--") {
		return args
	}
	i := slices.IndexFunc(args, func(arg string) bool {
		return len(arg) > 1 && arg[0] == '-' && arg[1] != '-' && arg != "-h"
	})
	if i < 0 {
		return args
	}
	return slices.Concat(args[:i], args[i+1:], []string{"--", args[i]})
}
