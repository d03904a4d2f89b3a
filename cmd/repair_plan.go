package cmd

import (
	"context"
	"errors"
	"fmt"
	"io"
	"text/tabwriter"

	"regmend/shared/gitlab"
	"regmend/shared/postgres"

	"github.com/spf13/cobra"
)

func (v *verbs) repairPlan() *cobra.Command {
	var scope postgres.PlanScope
	accepts := map[gitlab.Refusal]*bool{}
	c := &cobra.Command{
		Use:   "plan [PROJECT...]",
		Short: "Plan what is to be put back, and see what speaks against it",
		Long: `Store a plan and print its number, alone on the first line: all repositories that
are missing as far as the current run knows, or those of a group or of some projects,
given by ID or full path. Nothing of GitLab's is changed.

What something speaks against is in the plan too, refused, with the reason. Each
reason can be accepted by a flag of its own. Two cannot: a project that was renamed
since its scan is scanned again first, and one that is gone is gone.`,
		Example: `  regmend repair plan
  regmend repair plan --namespace group/sub --limit 100
  regmend repair plan 42 group/sub/app
  regmend repair plan --accept-unknown-age
  PLAN=$(regmend repair plan --namespace group | head -1)`,
	}
	c.Flags().StringVar(&scope.Namespace, "namespace", "", "only the project or group of that full `path`, and what is below it")
	c.Flags().IntVar(&scope.Limit, "limit", 0, "at most so many repositories; 0: all")
	for _, r := range gitlab.Acceptable() {
		accepts[r] = c.Flags().Bool("accept-"+string(r), false, "although "+r.Words())
	}
	return v.verb(c, database, func(ctx context.Context, x *parts, args []string) error {
		for _, r := range gitlab.Acceptable() {
			if *accepts[r] {
				scope.Accepted = append(scope.Accepted, r)
			}
		}
		if scope.Limit < 0 || len(args) > 0 && scope.Namespace != "" {
			return misuse{errors.New("say what to plan in one way: by projects or by --namespace, with a --limit of 0 or more")}
		}
		return x.plan(ctx, scope, args)
	})
}

func (x *parts) plan(ctx context.Context, scope postgres.PlanScope, projects []string) error {
	db, err := x.readyDatabase(ctx)
	if err != nil {
		return err
	}
	state, err := stateOfRun(ctx, db)
	if err != nil {
		return err
	}
	if scope.Namespace != "" {
		if err := findNamespace(ctx, db, scope.Namespace); err != nil {
			return err
		}
	}
	if scope.Projects, err = projectIDs(ctx, db, projects); err != nil {
		return err
	}
	by := who("")
	plan, err := db.MakePlan(ctx, state.Run, scope, by)
	if errors.Is(err, postgres.ErrNothingMissing) {
		return fmt.Errorf("%w: no plan was made (see regmend report --missing)", postgres.ErrNothingMissing)
	}
	if err != nil {
		return err
	}
	x.audited(postgres.ActionPlan, plan.ID, by)
	fmt.Fprintln(x.process.Stdout, plan.ID)
	return x.summarize(ctx, db, plan)
}

// projectIDs are the IDs of projects given by ID or full path. What is unknown is
// named, a line each.
func projectIDs(ctx context.Context, db *postgres.DB, args []string) (ids []int64, err error) {
	var faults []error
	for _, arg := range args {
		id, err := db.ProjectID(ctx, arg)
		switch {
		case errors.Is(err, gitlab.ErrNotFound):
			faults = append(faults, fmt.Errorf("no such project: %.300s (give its ID, or its full path such as group/sub/app)", arg))
		case err != nil:
			return nil, err
		default:
			ids = append(ids, id)
		}
	}
	return ids, errors.Join(faults...)
}

// summarize tells what is in the plan, and how many items each reason refuses.
func (x *parts) summarize(ctx context.Context, db *postgres.DB, plan postgres.Plan) error {
	refused := map[gitlab.Refusal]int{}
	err := db.Items(ctx, plan.ID, func(i postgres.Item) error {
		for _, r := range i.Refusals {
			refused[r]++
		}
		return nil
	})
	if err != nil {
		return err
	}
	n := plan.Counts
	fmt.Fprintf(x.process.Stdout, "plan %d: %s: %s\n", plan.ID, counted(n.Planned()+n.Refused, "repository", "repositories"), printable(plan.Scope))
	fmt.Fprintf(x.process.Stdout, "%-10s  %d\n%-10s  %d\n", "to restore", n.Open, "refused", n.Refused)
	return printRefusals(x.process.Stdout, plan, refused)
}

func printRefusals(out io.Writer, plan postgres.Plan, refused map[gitlab.Refusal]int) error {
	accepted := map[gitlab.Refusal]bool{}
	for _, r := range plan.Accepted {
		accepted[r] = true
	}
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	for _, r := range append(gitlab.Acceptable(), gitlab.RefusedRenaming, gitlab.RefusedNoProject) {
		switch {
		case refused[r] == 0:
		case accepted[r]:
			fmt.Fprintf(w, "  %d\t%s\taccepted: %s\n", refused[r], r, r.Words())
		default:
			fmt.Fprintf(w, "  %d\t%s\t%s\n", refused[r], r, r.Words())
		}
	}
	return w.Flush()
}
