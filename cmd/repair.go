package cmd

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/user"
	"strconv"
	"text/tabwriter"
	"time"

	"regmend/shared/gitlab"
	"regmend/shared/postgres"

	"github.com/sirupsen/logrus"
	"github.com/spf13/cobra"
)

// plansShown is how many plans are worth showing.
const plansShown = 50

func (v *verbs) repair() *cobra.Command {
	c := &cobra.Command{
		Use:   "repair",
		Short: "Put back what is missing: plan, show, apply, undo",
		Long: `List the plans of repairs, the newest first.

A repair is planned, looked at, applied, and can be undone. A plan changes nothing of
GitLab's; apply inserts the rows of its items, each checked again right before; undo
removes exactly the rows that the plan inserted and nobody has touched since.`,
		Example: `  regmend repair plan --namespace group
  regmend repair show 1
  regmend enable repair
  regmend repair apply 1 --reason "lost with the backup of 1 May"
  regmend repair undo 1 --reason "it was the wrong group"
  regmend repair`,
		Args: takesNothing,
	}
	c = v.verb(c, database, func(ctx context.Context, x *parts, _ []string) error {
		db, err := x.readyDatabase(ctx)
		if err != nil {
			return err
		}
		plans, err := db.Plans(ctx, plansShown)
		if err != nil {
			return err
		}
		w := tabwriter.NewWriter(x.process.Stdout, 0, 0, 2, ' ', 0)
		fmt.Fprintln(w, "PLAN\tRUN\tCREATED\tBY\tSTATE\tREFUSED\tOPEN\tAPPLIED\tSKIPPED\tFAILED\tUNDONE\tKEPT\tOF")
		for _, p := range plans {
			n := p.Counts
			fmt.Fprintf(w, "%d\t%d\t%s\t%s\t%s\t%d\t%d\t%d\t%d\t%d\t%d\t%d\t%s\n", p.ID, p.Run, p.CreatedAt.Local().Format(time.DateTime),
				printable(p.CreatedBy), p.State, n.Refused, n.Open, n.Applied, n.Skipped, n.Failed, n.Undone, n.Kept, printable(p.Scope))
		}
		return w.Flush()
	})
	c.AddCommand(v.repairPlan(), v.repairShow(), v.repairApply(), v.repairUndo())
	return c
}

// who is the operator, for the audit.
func who(reason string) postgres.Who {
	name := strconv.Itoa(os.Getuid())
	if u, err := user.Current(); err == nil {
		name = u.Username
	}
	return postgres.Who{Actor: name, Host: hostname(), Reason: reason}
}

// audited logs what an operator did, in one form for all.
func (x *parts) audited(action string, plan int64, by postgres.Who) {
	log := x.log.WithFields(logrus.Fields{"action": action, "actor": by.Actor, "host": by.Host, "reason": by.Reason})
	if plan != 0 {
		log = log.WithField("plan", plan)
	}
	log.Info("repair: audit")
}

// planNumber reads the number of a plan.
func planNumber(arg string) (int64, error) {
	n, err := strconv.ParseInt(arg, 10, 64)
	if err != nil || n < 1 {
		return 0, misuse{fmt.Errorf("%.100q is not the number of a plan (see regmend repair)", arg)}
	}
	return n, nil
}

// thePlan is the plan of that number.
func thePlan(ctx context.Context, db *postgres.DB, id int64) (postgres.Plan, error) {
	p, err := db.Plan(ctx, id)
	if errors.Is(err, gitlab.ErrNotFound) {
		return p, fmt.Errorf("there is no plan %d (see regmend repair)", id)
	}
	return p, err
}
