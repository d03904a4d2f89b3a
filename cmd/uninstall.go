package cmd

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"
)

func (v *verbs) uninstall() *cobra.Command {
	var yes bool
	c := &cobra.Command{
		Use:   "uninstall",
		Short: "Remove regmend's schema, with all results",
		Long: `Remove the schema regmend from the database, with all results, runs and settings.
Nothing of GitLab's is touched. Stop producers and consumers before. What regmend
keeps in Redis is left to expire, or to you: its keys begin with regmend: and asynq:.

It asks first; without a terminal it needs --yes.`,
		Example: `  regmend uninstall
  regmend uninstall --yes`,
		Args: takesNothing,
	}
	c.Flags().BoolVar(&yes, "yes", false, "do not ask")
	return v.verb(c, database, func(ctx context.Context, x *parts, _ []string) error {
		if !yes && !isTerminal(x.process.Stdin) {
			return misuse{errors.New("uninstall asks before it removes all results, and there is no terminal to ask on: add --yes")}
		}
		db, err := x.reachedDatabase(ctx)
		if err != nil {
			return err
		}
		if !yes {
			if err := confirm(ctx, x.process); err != nil {
				return err
			}
		}
		if err := db.Uninstall(ctx); err != nil {
			return err
		}
		fmt.Fprintln(x.process.Stdout, "regmend's schema is removed")
		return nil
	})
}

// confirm asks on the terminal; only a plain yes is a yes.
func confirm(ctx context.Context, p Process) error {
	fmt.Fprint(p.Stderr, "Remove the schema regmend with all results, runs and settings? Type yes: ")
	// Nothing ends a read from a terminal: when told to stop, the process goes
	// and the read with it.
	answer := make(chan string, 1)
	go func() {
		line, _ := bufio.NewReader(p.Stdin).ReadString('\n')
		answer <- line
	}()
	select {
	case <-ctx.Done():
		fmt.Fprintln(p.Stderr)
	case line := <-answer:
		if strings.TrimSpace(line) == "yes" {
			return nil
		}
	}
	return errors.New("nothing was removed")
}
