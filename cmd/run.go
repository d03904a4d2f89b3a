package cmd

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"regmend/shared/board"
	"regmend/shared/postgres"
	"regmend/shared/stash"

	"github.com/redis/go-redis/v9"
	"github.com/spf13/cobra"
)

var errNoRun = errors.New("there is no run yet: start regmend producer, or regmend run new --reason TEXT")

// stateOfRun is what the primary says of a run that there is.
func stateOfRun(ctx context.Context, db *postgres.DB) (postgres.State, error) {
	state, err := db.State(ctx)
	switch {
	case err != nil:
		return state, err
	case state.Standby:
		return state, postgres.ErrStandby
	case state.Run.ID == 0:
		return state, errNoRun
	}
	return state, nil
}

func (v *verbs) run() *cobra.Command {
	c := &cobra.Command{
		Use:   "run",
		Short: "Show the current run, or begin a new one",
		Long: `A run is one pass over one installation and one registry. After a restore of the
database, or with another registry, every older result is worthless: then begin a
new run, and every project is analysed again.`,
		Example: `  regmend run
  regmend run new --reason "database restored from the backup of 1 May"`,
		Args: takesNothing,
	}
	c = v.verb(c, database, func(ctx context.Context, x *parts, _ []string) error {
		db, err := x.readyDatabase(ctx)
		if err != nil {
			return err
		}
		runs, err := db.Runs(ctx)
		if err != nil {
			return err
		}
		return printRuns(x.process, runs)
	})
	c.AddCommand(v.runNew(), v.runAcceptShrink())
	return c
}

func (v *verbs) runNew() *cobra.Command {
	var reason string
	c := &cobra.Command{
		Use:   "new --reason TEXT",
		Short: "Begin a new run: every project is pending again",
		Long: `Begin a new run: every project is pending again. Old results remain until they are
replaced; what is stashed and queued of the old run is discarded.`,
		Example: `  regmend run new --reason "database restored from the backup of 1 May"`,
		Args:    takesNothing,
	}
	c.Flags().StringVar(&reason, "reason", "", "why, for those who look at it later (required)")
	return v.verb(c, database|queue|registryHost, func(ctx context.Context, x *parts, _ []string) error {
		reason = strings.TrimSpace(reason)
		if reason == "" {
			return misuse{errors.New("a new run needs a reason: regmend run new --reason \"registry moved\"")}
		}
		db, rdb, err := x.both(ctx)
		if err != nil {
			return err
		}
		return x.beginRun(ctx, db, rdb, reason)
	})
}

// beginRun begins a run for the registry that answers now. If it is interrupted
// between the database and Redis, the two disagree, everything holds, and
// beginning a run once more mends it.
func (x *parts) beginRun(ctx context.Context, db *postgres.DB, rdb redis.UniversalClient, reason string) error {
	reg, err := x.registry(nil)
	if err != nil {
		return err
	}
	identity, err := identityOf(reg)(ctx)
	if err != nil {
		return fmt.Errorf("a run is for one registry, and it does not say what it is: %w", err)
	}
	notices := board.New(rdb)
	mark, err := notices.RunMark(ctx)
	if err != nil {
		return unreachedRedis(err)
	}
	run, err := db.NewRun(ctx, reason, identity, mark.Scan)
	if err != nil {
		return err
	}
	if err := notices.Begin(ctx, board.RunMark{Run: run.ID, Scan: run.Scan}); err != nil {
		return fmt.Errorf("run %d is in the database, but Redis does not know of it: %w (begin a new run once more)", run.ID, err)
	}
	if err := notices.ClearHold(ctx, board.HoldShrunk); err != nil {
		return fmt.Errorf("run %d has begun; the hold of the old one is left to expire: %w", run.ID, err)
	}
	// A result of the old run that is left is discarded by the flush.
	if err := stash.New(rdb, stash.Config{}).Clear(ctx); err != nil {
		return fmt.Errorf("run %d has begun, but the stash of the old one is still there: %w", run.ID, err)
	}
	fmt.Fprintf(x.process.Stdout, "run %d has begun: every project is pending\n", run.ID)
	return nil
}

// printRuns shows the current run, which is the first, and in short those before.
func printRuns(p Process, runs []postgres.Run) error {
	if len(runs) == 0 {
		return errNoRun
	}
	r := runs[0]
	fmt.Fprintf(p.Stdout, "run       %d\nsince     %s\nreason    %s\nregistry  %s\ncluster   %s\n",
		r.ID, r.StartedAt.Local().Format(time.DateTime), printable(r.Reason), printable(r.Registry), printable(r.SystemID))
	for _, old := range runs[1:] {
		fmt.Fprintf(p.Stdout, "before    %d, %s: %s\n", old.ID, old.StartedAt.Local().Format(time.DateTime), printable(old.Reason))
	}
	return nil
}
