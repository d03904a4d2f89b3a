package cmd

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"regmend/shared/board"
	"regmend/shared/postgres"
	"regmend/shared/tasks"

	"github.com/redis/go-redis/v9"
	"github.com/spf13/cobra"
)

func (v *verbs) sweep() *cobra.Command {
	var dry bool
	c := &cobra.Command{
		Use:   "sweep",
		Short: "Analyse all projects by the registry's catalog",
		Long: `Begin a sweep and print its number. It walks the registry's catalog, a thousand
repositories a request, asks what GitLab has no row of for its tags, and so analyses
every project without a request for each. What it cannot prove, such as projects that
are renamed meanwhile, is scanned as ever.

It needs credentials that may read the catalog (regmend doctor says whether these
may), and takes all projects, whatever the setting scope. One is under way at a time;
regmend status shows how far it is. To begin each run with one by itself, see the
setting strategy. --dry-run tells the price and changes nothing.`,
		Example: `  regmend sweep --dry-run
  regmend sweep
  regmend status
  regmend report --unowned`,
		Args: takesNothing,
	}
	c.Flags().BoolVar(&dry, "dry-run", false, "tell the price and begin nothing")
	return v.choosy(c, database|queue|registryHost, registryIf(&dry), func(ctx context.Context, x *parts, _ []string) error {
		db, rdb, err := x.both(ctx)
		if err != nil {
			return err
		}
		return x.beginSweep(ctx, db, rdb, dry)
	})
}

func (x *parts) beginSweep(ctx context.Context, db *postgres.DB, rdb redis.UniversalClient, dry bool) error {
	state, err := stateOfRun(ctx, db)
	switch {
	case err != nil:
		return err
	case len(state.Settings.Scope) > 0:
		return fmt.Errorf("scanning is limited to %s, and a sweep takes all projects: first regmend settings set scope ''",
			strings.Join(state.Settings.Scope, ", "))
	case dry:
		return x.priceSweep(ctx, db, state)
	}
	sweep, err := db.BeginSweep(ctx, state.Run, operator())
	if errors.Is(err, postgres.ErrSweepRunning) {
		return errors.New("a sweep is under way already: see regmend status")
	}
	if err != nil {
		return err
	}
	fmt.Fprintln(x.process.Stdout, sweep.ID)
	if _, err := tasks.EnqueueSweep(ctx, rdb, tasks.Sweep{Run: sweep.Run, Sweep: sweep.ID}); err != nil {
		return fmt.Errorf("sweep %d has begun, but is not in the queue: %w (a producer puts it there)", sweep.ID, err)
	}
	warnIfWaiting(ctx, x.process.Stderr, "it waits", state.Settings, board.New(rdb))
	return nil
}
