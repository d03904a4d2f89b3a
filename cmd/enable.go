package cmd

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"
)

// scanEnabled is the setting that is the feature flag.
const scanEnabled = "scan_enabled"

func (v *verbs) enable() *cobra.Command {
	var force bool
	c := &cobra.Command{
		Use:   "enable",
		Short: "Begin to scan, after doctor's checks",
		Long: `Turn scanning on, for all processes, within two seconds. doctor's checks come
first; if one fails scanning stays off, and what failed is said. If there is no run
yet, the first one begins.`,
		Example: `  regmend enable
  regmend enable --force         although a check fails`,
		Args: takesNothing,
	}
	c.Flags().BoolVar(&force, "force", false, "enable although a check fails")
	return v.verb(c, database|queue|registryHost, func(ctx context.Context, x *parts, _ []string) error {
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
		Use:   "disable",
		Short: "Stop scanning",
		Long: `Turn scanning off, for all processes, within two seconds: scans are abandoned and
done again later; what is done is still written.`,
		Example: `  regmend disable`,
		Args:    takesNothing,
	}
	return v.verb(c, database, func(ctx context.Context, x *parts, _ []string) error {
		db, err := x.readyDatabase(ctx)
		if err != nil {
			return err
		}
		return setSetting(ctx, x.process.Stdout, db, scanEnabled, "false")
	})
}

// counted is a number with its noun.
func counted(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}
