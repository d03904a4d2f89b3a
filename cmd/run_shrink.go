package cmd

import (
	"context"
	"fmt"
	"slices"

	"regmend/shared/board"

	"github.com/spf13/cobra"
)

func (v *verbs) runAcceptShrink() *cobra.Command {
	c := &cobra.Command{
		Use:   "accept-shrink",
		Short: "Go on although the listings of many projects shrank",
		Long: `Where the listings of many projects shrink at once, the registry is rather believed
to be wrong: nothing is written, and everything holds. If they are right, as after
a large clean-up, this goes on: what shrank is believed for the rest of the run,
and what waits in the stash is written.

If the registry is at fault, mend it, and throw away what was scanned with
regmend run new --reason TEXT.`,
		Example: `  regmend status                 why it holds
  regmend run accept-shrink`,
		Args: takesNothing,
	}
	return v.verb(c, database|queue, func(ctx context.Context, x *parts, _ []string) error {
		db, rdb, err := x.both(ctx)
		if err != nil {
			return err
		}
		state, err := stateOfRun(ctx, db)
		if err != nil {
			return err
		}
		notices := board.New(rdb)
		holds, err := notices.Holds(ctx)
		if err != nil {
			return unreachedRedis(err)
		}
		if !slices.ContainsFunc(holds, func(h board.Hold) bool { return h.Kind == board.HoldShrunk }) {
			return fmt.Errorf("run %d is not held because listings shrank: there is nothing to accept", state.Run.ID)
		}
		if err := db.AcceptShrunk(ctx, state.Run, operator()); err != nil {
			return err
		}
		fmt.Fprintf(x.process.Stdout, "run %d: listings that shrank are believed, until another run begins\n", state.Run.ID)
		return notices.ClearHold(ctx, board.HoldShrunk)
	})
}
