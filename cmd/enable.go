package cmd

import (
	"context"
	"errors"
	"fmt"

	"regmend/shared/postgres"

	"github.com/spf13/cobra"
)

// scanEnabled is the setting that is the feature flag.
const scanEnabled = "scan_enabled"

func (v *verbs) enable() *cobra.Command {
	var force bool
	c := &cobra.Command{
		Use:   "enable [repair]",
		Short: "Begin to scan, after doctor's checks; or allow repairs",
		Long: `Turn scanning on, for all processes, within two seconds. doctor's checks come
first; if one fails scanning stays off, and what failed is said. If there is no run
yet, the first one begins.

With repair, allow what regmend repair apply and undo order. It is off at first.`,
		Example: `  regmend enable
  regmend enable --force         although a check fails
  regmend enable repair`,
		Args: takesRepair,
	}
	c.Flags().BoolVar(&force, "force", false, "enable although a check fails")
	return v.choosy(c, database|queue|registryHost, scanningIf(c), func(ctx context.Context, x *parts, args []string) error {
		if len(args) > 0 {
			return x.enableRepair(ctx, true)
		}
		if err := x.checkBefore(ctx, force); err != nil {
			return err
		}
		db, rdb, err := x.both(ctx)
		if err != nil {
			return err
		}
		state, err := db.State(ctx)
		if err != nil {
			return err
		}
		if state.Run.ID == 0 {
			if err := x.beginRun(ctx, db, rdb, "first run"); err != nil {
				return err
			}
		}
		return setSetting(ctx, x.process.Stdout, db, scanEnabled, "true")
	})
}

// checkBefore runs doctor's checks and refuses if one fails, unless forced.
func (x *parts) checkBefore(ctx context.Context, force bool) error {
	failures := 0
	for f := range x.diagnose(ctx) {
		if f.level != fails {
			continue
		}
		failures++
		fmt.Fprintln(x.process.Stderr, f)
	}
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case failures == 0:
		return nil
	case force:
		fmt.Fprintf(x.process.Stderr, "regmend: warning: enabling although %s\n", counted(failures, "check fails", "checks fail"))
		return nil
	}
	return errors.New("scanning stays off: mend what fails (regmend doctor shows all), or enable with --force")
}

func (v *verbs) disable() *cobra.Command {
	c := &cobra.Command{
		Use:   "disable [repair]",
		Short: "Stop scanning; or stop repairs",
		Long: `Turn scanning off, for all processes, within two seconds: scans are abandoned and
done again later; what is done is still written. Repairs wait meanwhile: they ask the
registry, too.

With repair, stop repairs alone, within two seconds, between two rows. They go on when
it is enabled again.`,
		Example: `  regmend disable
  regmend disable repair`,
		Args: takesRepair,
	}
	return v.verb(c, database, func(ctx context.Context, x *parts, args []string) error {
		if len(args) > 0 {
			return x.enableRepair(ctx, false)
		}
		db, err := x.readyDatabase(ctx)
		if err != nil {
			return err
		}
		return setSetting(ctx, x.process.Stdout, db, scanEnabled, "false")
	})
}

// takesRepair accepts the word repair, or nothing.
func takesRepair(c *cobra.Command, args []string) error {
	if len(args) == 1 && args[0] == "repair" {
		return nil
	}
	return takesNothing(c, args)
}

// scanningIf are the parts that enable needs: for repairs the database alone.
func scanningIf(c *cobra.Command) func() part {
	return func() part {
		if c.Flags().NArg() > 0 {
			return database
		}
		return database | queue | registryHost
	}
}

// enableRepair turns the repair's feature flag, and says how things stand.
func (x *parts) enableRepair(ctx context.Context, on bool) error {
	db, err := x.readyDatabase(ctx)
	if err != nil {
		return err
	}
	by := who("")
	old, err := db.EnableRepair(ctx, on, by)
	if err != nil {
		return err
	}
	action := postgres.ActionDisable
	if on {
		action = postgres.ActionEnable
	}
	x.audited(action, 0, by)
	fmt.Fprintf(x.process.Stdout, "repair_enabled: %t, was %s\n", on, shown(old))
	return nil
}

// counted is a number with its noun.
func counted(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}
