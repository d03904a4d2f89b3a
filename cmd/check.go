package cmd

import (
	"context"
	"fmt"
	"time"

	"regmend/shared/postgres"

	"github.com/spf13/cobra"
)

func (v *verbs) check() *cobra.Command {
	c := &cobra.Command{
		Use:   "check",
		Short: "Prove that counts, missing repositories and snapshots agree",
		Long: `Read all of regmend's results and prove that they agree with each other: the count
of missing repositories with their names, these with the version of what the
project lists, the versions with each other, and their contents with the digest.

It changes nothing, and can be run while results are written. There is a line for
each disagreement, the first hundred of them. Exit code 1 if there is one.`,
		Example: `  regmend check`,
		Args:    takesNothing,
	}
	return v.verb(c, database, func(ctx context.Context, x *parts, _ []string) error {
		db, err := x.readyDatabase(ctx)
		if err != nil {
			return err
		}
		state, err := db.State(ctx)
		if err != nil {
			return err
		}
		return x.check(ctx, db, state.Settings)
	})
}

// shownDisagreements is how many are worth a line.
const shownDisagreements = 100

func (x *parts) check(ctx context.Context, db *postgres.DB, settings postgres.Settings) error {
	disagreements := 0
	show := func(d postgres.Disagreement) error {
		if disagreements++; disagreements <= shownDisagreements {
			fmt.Fprintln(x.process.Stdout, disagreementText(d))
		}
		return nil
	}
	screen := newDisplay(x.process.Stderr, 0)
	last := time.Now()
	checked, err := db.Check(ctx, settings, show, func(so postgres.Checked) {
		if time.Since(last) >= screen.interval {
			last = time.Now()
			screen.line(checkedText(so))
		}
	})
	screen.end()
	if err != nil {
		return err
	}
	if disagreements > shownDisagreements {
		fmt.Fprintf(x.process.Stdout, "and %d more\n", disagreements-shownDisagreements)
	}
	fmt.Fprintln(x.process.Stdout, checkedText(checked))
	if disagreements > 0 {
		return fmt.Errorf("%s; what is wrong of a project is mended by regmend enqueue --force ID",
			counted(disagreements, "disagreement", "disagreements"))
	}
	return nil
}

func disagreementText(d postgres.Disagreement) string {
	if d.ProjectID == 0 {
		return printable(d.What)
	}
	return printable(fmt.Sprintf("project %d: %s", d.ProjectID, d.What))
}

func checkedText(c postgres.Checked) string {
	return fmt.Sprintf("checked: %s results, %s versions, %s contents", thousands(c.Results), thousands(c.Versions), thousands(c.Contents))
}
