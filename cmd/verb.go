package cmd

import (
	"context"
	"errors"
	"fmt"

	"github.com/redis/go-redis/v9"
	"github.com/spf13/cobra"
)

// verbs makes the commands.
type verbs struct {
	process Process
	// begun is set when a verb begins: until then errors are about the typing.
	begun *bool
}

// verb gives the command the flags of the parts it needs, and runs it with
// them. A fault of the configuration ends it before it begins.
func (v *verbs) verb(c *cobra.Command, needs part, run func(ctx context.Context, x *parts, args []string) error) *cobra.Command {
	return v.choosy(c, needs, func() part { return needs }, run)
}

// choosy is verb for those that do without a part at times: faults count of the
// parts that needed says, once the flags are read.
func (v *verbs) choosy(c *cobra.Command, needs part, needed func() part, run func(ctx context.Context, x *parts, args []string) error) *cobra.Command {
	return v.lenient(c, needs, func(ctx context.Context, x *parts, args []string) error {
		for _, name := range unknownVariables(v.process.Environ) {
			fmt.Fprintf(v.process.Stderr, "regmend: warning: %s is not a variable of regmend's (see regmend help environment)\n", name)
		}
		if err := faultsOf(x.faults, needed()|logging); err != nil {
			return misuse{err}
		}
		return run(ctx, x, args)
	})
}

// lenient is verb for those who cope with faults of the configuration.
func (v *verbs) lenient(c *cobra.Command, needs part, run func(ctx context.Context, x *parts, args []string) error) *cobra.Command {
	needs |= logging
	config := new(configuration)
	config.addFlags(c, needs)
	c.RunE = func(c *cobra.Command, args []string) (err error) {
		*v.begun = true
		x := &parts{process: v.process, config: config, faults: config.load(c, needs, v.process.Environ)}
		x.log = newLog(v.process, config)
		redis.SetLogger(redisLog{x.log})
		defer func() { err = errors.Join(err, x.close()) }()
		return run(c.Context(), x, args)
	}
	return c
}
