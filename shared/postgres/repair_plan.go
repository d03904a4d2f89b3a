package postgres

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"regmend/shared/gitlab"

	"github.com/jmoiron/sqlx"
	"github.com/lib/pq"
)

// ErrNothingMissing says that there is nothing to plan.
var ErrNothingMissing = errors.New("no repository is missing there, as far as is known")

// PlanScope is what is to be planned; all zero: everything that is missing.
type PlanScope struct {
	Namespace string  // the project or group of that full path, and what is below it
	Projects  []int64 // these
	Limit     int     // at most so many repositories; 0: all
	Accepted  []gitlab.Refusal
}

func (s PlanScope) words() string {
	var words []string
	if s.Namespace != "" {
		words = append(words, "what is missing in "+s.Namespace)
	}
	if len(s.Projects) > 0 {
		words = append(words, fmt.Sprintf("what is missing in %d given projects", len(s.Projects)))
	}
	if len(words) == 0 {
		words = []string{"all that is missing"}
	}
	if s.Limit > 0 {
		words = append(words, fmt.Sprintf("at most %d of them", s.Limit))
	}
	return strings.Join(words, ", ")
}

const (
	insertPlan = `
INSERT INTO regmend.repair_plans (run_id, created_by, scope, accepted)
VALUES ($1, $2, $3, $4)
RETURNING id`

	// $6 as inScope has it. What has a row by now is not missing.
	insertItems = `
INSERT INTO regmend.repair_items (plan_id, number, project_id, name, full_path, scan_number, snapshot,
                                  repository_created_at, refusals, state)
SELECT $3::bigint, row_number() OVER (ORDER BY i.project_id, i.name), i.project_id, i.name, i.full_path, i.scan_number, i.snapshot,
       i.created_at, judged.refusals, CASE WHEN judged.refusals <@ $4::text[] THEN 'open' ELSE 'refused' END
FROM (
    SELECT d.project_id, m.name COLLATE "C" AS name, d.full_path, d.scan_number, d.snapshot, m.created_at
    FROM regmend.data_repair_details d
    JOIN regmend.missing_repositories m ON m.project_id = d.project_id
    WHERE d.missing_count > 0 AND ` + trusted + `
      AND (cardinality($5::bigint[]) = 0 OR d.project_id = ANY ($5))
      AND (cardinality($6::text[]) = 0 OR coalesce((
           SELECT ` + inScope + ` FROM public.routes r
           WHERE r.source_type = 'Project' AND r.source_id = d.project_id LIMIT 1), false))
      AND NOT EXISTS (SELECT FROM public.container_repositories c WHERE c.project_id = d.project_id AND c.name = m.name)
    ORDER BY d.project_id, m.name COLLATE "C"
    LIMIT nullif($7::int, 0)
) AS i` + judgedItem
)

// MakePlan stores what is to be restored, from the trustworthy results of run, and
// what speaks against it. It changes nothing of GitLab's. ErrNothingMissing: there
// is no plan.
func (db *DB) MakePlan(ctx context.Context, run Run, scope PlanScope, who Who) (Plan, error) {
	if err := db.mayPlan(ctx); err != nil {
		return Plan{}, err
	}
	var id int64
	err := db.transact(ctx, nil, func(tx *sqlx.Tx) (err error) {
		id, err = makePlan(ctx, tx, run, scope, who)
		return err
	})
	if err != nil {
		return Plan{}, db.fault(ctx, "make a plan", err)
	}
	return db.Plan(ctx, id)
}

func makePlan(ctx context.Context, tx *sqlx.Tx, run Run, scope PlanScope, who Who) (id int64, err error) {
	if _, err := tx.ExecContext(ctx, allowLong); err != nil {
		return 0, err
	}
	if err := holdRun(ctx, tx, run, run.Scan); err != nil {
		return 0, err
	}
	accepted := textsOf(scope.Accepted)
	if err := tx.GetContext(ctx, &id, insertPlan, run.ID, who.Actor+"@"+who.Host, scope.words(), accepted); err != nil {
		return 0, err
	}
	within := []string{}
	if scope.Namespace != "" {
		within = append(within, scope.Namespace)
	}
	made, err := tx.ExecContext(ctx, insertItems, run.ID, run.Scan, id, accepted,
		pq.Array(append([]int64{}, scope.Projects...)), pq.Array(within), scope.Limit)
	if err != nil {
		return 0, err
	}
	n, err := made.RowsAffected()
	if err == nil && n == 0 {
		err = ErrNothingMissing
	}
	if err != nil {
		return 0, err
	}
	_, err = audit(ctx, tx, who, ActionPlan, id, fmt.Sprintf("%d repositories: %s", n, scope.words()))
	return id, err
}
