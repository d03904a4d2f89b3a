package cmd

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"regmend/shared/postgres"

	"github.com/spf13/cobra"
)

// itemsATask is how many items one task of a repair has.
const itemsATask = 100

func (v *verbs) repairApply() *cobra.Command {
	var reason, via string
	var detach bool
	c := &cobra.Command{
		Use:   "apply PLAN --reason TEXT",
		Short: "Put back what a plan holds",
		Long: `Have the consumers insert the row of each open item of a plan, and wait until they
have, the rows were looked for again, and the projects scanned. Each item is checked
again right before. What cannot be restored is skipped or fails, with the reason; it
does not keep the others. Applied again, what failed is tried again.

--via sql inserts the rows, in one transaction each with the journal that undo goes
by; the consumers' role needs schema/roles/repair.sql. --via gitlab makes GitLab insert
them, by asking it for a token to push; the consumers need REGMEND_GITLAB_URL,
REGMEND_GITLAB_USERNAME and REGMEND_GITLAB_PASSWORD.

Interrupted, the consumers go on; regmend disable repair stops them.`,
		Example: `  regmend repair apply 1 --reason "lost with the backup of 1 May"
  regmend repair apply 1 --reason "as above" --detach
  regmend repair apply 1 --reason "as above" --via gitlab`,
		Args: takes(1, "the number of a plan"),
	}
	c.Flags().StringVar(&reason, "reason", "", "why, for those who look at it later (required)")
	c.Flags().StringVar(&via, "via", string(postgres.ViaSQL), "who makes the rows: sql or gitlab")
	c.Flags().BoolVar(&detach, "detach", false, "do not wait")
	return v.verb(c, database|queue, func(ctx context.Context, x *parts, args []string) error {
		id, err := planNumber(args[0])
		if err != nil {
			return err
		}
		if reason = strings.TrimSpace(reason); reason == "" {
			return misuse{errors.New(`a repair needs a reason: regmend repair apply PLAN --reason "lost with the backup of 1 May"`)}
		}
		if via != string(postgres.ViaSQL) && via != string(postgres.ViaGitLab) {
			return misuse{fmt.Errorf("%.100q is no way to make rows: use --via sql or gitlab", via)}
		}
		order := postgres.Order{Plan: id, Action: postgres.ActionApply, Via: postgres.Via(via)}
		return x.order(ctx, order, who(reason), detach)
	})
}

func (v *verbs) repairUndo() *cobra.Command {
	var reason string
	var detach bool
	c := &cobra.Command{
		Use:   "undo PLAN",
		Short: "Remove the rows that a plan inserted",
		Long: `Have the consumers remove exactly the rows that the plan inserted, where nobody has
changed them since and nothing refers to them, and wait until they have. The others are
kept, each with the reason. Undone again, what was kept is tried again. A plan that was
undone is not applied again: make a new one.`,
		Example: `  regmend repair undo 1
  regmend repair undo 1 --reason "it was the wrong group"`,
		Args: takes(1, "the number of a plan"),
	}
	c.Flags().StringVar(&reason, "reason", "", "why, for those who look at it later")
	c.Flags().BoolVar(&detach, "detach", false, "do not wait")
	return v.verb(c, database|queue, func(ctx context.Context, x *parts, args []string) error {
		id, err := planNumber(args[0])
		if err != nil {
			return err
		}
		return x.order(ctx, postgres.Order{Plan: id, Action: postgres.ActionUndo}, who(strings.TrimSpace(reason)), detach)
	})
}

// order gives an order for a plan, and waits until it is carried out.
func (x *parts) order(ctx context.Context, order postgres.Order, by postgres.Who, detach bool) error {
	db, rdb, err := x.both(ctx)
	if err != nil {
		return err
	}
	state, err := x.mayOrder(ctx, db, order)
	if err != nil {
		return err
	}
	if order, err = db.Begin(ctx, state.Run, order, by); err != nil {
		return err
	}
	x.audited(order.Action, order.Plan, by)
	a := &assigned{order: order, rdb: rdb}
	if a.spans, err = db.Spans(ctx, order, itemsATask); err != nil {
		return err
	}
	if err := a.send(ctx); err != nil {
		return fmt.Errorf("not all of plan %d is in the queue: %w (give the order again)", order.Plan, err)
	}
	x.warnOfWaiting(ctx, rdb, state, order.Action)
	if detach {
		fmt.Fprintf(x.process.Stdout, "plan %d: the consumers %s it; see regmend repair show %d\n", order.Plan, order.Action, order.Plan)
		return nil
	}
	return x.await(ctx, db, a)
}

// mayOrder makes sure of what can be known before an order is given.
func (x *parts) mayOrder(ctx context.Context, db *postgres.DB, order postgres.Order) (postgres.State, error) {
	state, err := stateOfRun(ctx, db)
	if err != nil {
		return state, err
	}
	if _, err := thePlan(ctx, db, order.Plan); err != nil {
		return state, err
	}
	if !state.Settings.RepairEnabled {
		return state, errors.New("repair is disabled: first regmend enable repair")
	}
	differences, err := db.Fingerprint(ctx)
	if err == nil && len(differences) > 0 && order.Via != postgres.ViaGitLab {
		err = fmt.Errorf("container_repositories is not the table that this program knows, so nothing is done:\n%s", strings.Join(differences, "\n"))
	}
	return state, err
}
