package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"time"

	"regmend/shared/servers"

	"github.com/jmoiron/sqlx"
	"github.com/lib/pq"
)

const repairGroup = "repair"

// repairs are those of the run so far.
type repairs struct {
	touched moved // projects in whose rows the stand-in for GitLab had a hand
}

// plannedItem is one of a plan's.
type plannedItem struct {
	Number   int    `db:"number"`
	Project  int64  `db:"project_id"`
	Name     string `db:"name"`
	FullPath string `db:"full_path"`
}

// path is where the registry has it.
func (i plannedItem) path() string {
	path := strings.ToLower(i.FullPath)
	if i.Name == "" {
		return path
	}
	return path + "/" + i.Name
}

// plan is a repair's, with its items that may be restored.
type plan struct {
	id    int64
	items []plannedItem
}

const (
	// Older than what was pushed, so that no path seems to be reused.
	ageProjects = `UPDATE public.projects SET created_at = created_at - interval '1 day'`

	selectRepairable = `
SELECT d.project_id, d.missing_count FROM regmend.data_repair_details d
JOIN public.routes r ON r.source_type = 'Project' AND r.source_id = d.project_id AND r.path = d.full_path
JOIN public.project_features f ON f.project_id = d.project_id
WHERE d.status = 'completed' AND d.run_id = (SELECT max(id) FROM regmend.runs)
  AND d.missing_count BETWEEN 1 AND 20 AND f.container_registry_access_level > 0
  AND NOT d.project_id = ANY ($1)
  AND NOT EXISTS (SELECT FROM public.container_expiration_policies e WHERE e.project_id = d.project_id)
ORDER BY d.project_id`

	selectItems = `
SELECT number, project_id, name, full_path FROM regmend.repair_items
WHERE plan_id = $1 AND state = 'open' ORDER BY number`
)

// beginRepairs gives regmend's role the right to repair, and records what it does.
func (in *installation) beginRepairs(ctx context.Context) error {
	for _, statement := range []string{ageProjects, createRepairLog} {
		if _, err := in.database.sql.ExecContext(ctx, statement); err != nil {
			return err
		}
	}
	if err := in.database.grant(ctx, "repair", runtimeRole); err != nil {
		return err
	}
	return in.persist(ctx, "enable", "repair")
}

// leastItems are so many that one task asks the registry for more than once.
const leastItems = 12

// planRepair plans a repair of some projects that the dice choose. What earlier
// plans have inserted is removed before.
func (in *installation) planRepair(ctx context.Context, dice *rand.Rand) (p plan, err error) {
	if err := in.undoAll(ctx); err != nil {
		return p, err
	}
	var ids []int64
	err = servers.Await(ctx, "something is known to be missing", time.Minute, func(ctx context.Context) (bool, error) {
		var n int
		ids, n, err = in.repairable(ctx, dice)
		return n >= leastItems, errors.Join(err, fmt.Errorf("only %d", n))
	})
	if err != nil {
		return p, err
	}
	stdout, stderr, code, err := in.regmend(ctx, append([]string{"repair", "plan"}, words(ids)...)...)
	if err == nil && code != 0 {
		err = fmt.Errorf("repair plan: exit code %d: %s", code, stderr)
	}
	if err != nil {
		return p, err
	}
	number, _, _ := strings.Cut(stdout, "\n")
	if p.id, err = strconv.ParseInt(number, 10, 64); err != nil {
		return p, damagef("the first line of repair plan is %q", number)
	}
	if err := in.database.sql.SelectContext(ctx, &p.items, selectItems, p.id); err != nil {
		return p, err
	}
	if len(p.items) < leastItems/2 {
		return p, fmt.Errorf("only %d items may be restored: %s", len(p.items), stdout)
	}
	return p, nil
}

// repairable are projects that miss something, and how much.
func (in *installation) repairable(ctx context.Context, dice *rand.Rand) (ids []int64, n int, err error) {
	var found []struct {
		ID      int64 `db:"project_id"`
		Missing int   `db:"missing_count"`
	}
	in.repairs.touched.mu.Lock()
	spent := slices.Clone(in.repairs.touched.ids)
	in.repairs.touched.mu.Unlock()
	if err := in.database.sql.SelectContext(ctx, &found, selectRepairable, pq.Array(append([]int64{0}, spent...))); err != nil {
		return nil, 0, err
	}
	dice.Shuffle(len(found), func(i, j int) { found[i], found[j] = found[j], found[i] })
	for _, p := range found {
		if n < leastItems {
			ids, n = append(ids, p.ID), n+p.Missing
		}
	}
	return ids, n, nil
}

// projects are those of the items, each once.
func (p plan) projects() (ids []int64) {
	for _, i := range p.items {
		ids = append(ids, i.Project)
	}
	slices.Sort(ids)
	return slices.Compact(ids)
}

// endRepairs undoes what was applied and has every project scanned whose rows were
// changed by somebody else.
func (in *installation) endRepairs(ctx context.Context) error {
	if err := in.undoAll(ctx); err != nil {
		return err
	}
	in.moved.add(in.repairs.touched.ids)
	if len(in.repairs.touched.ids) == 0 {
		return nil
	}
	var after int64
	if err := in.database.sql.GetContext(ctx, &after, `SELECT last_value FROM regmend.scan_number`); err != nil {
		return err
	}
	if err := in.forceMoved(ctx); err != nil {
		return err
	}
	return servers.Await(ctx, "projects that changed are scanned", 2*time.Minute, func(ctx context.Context) (scanned bool, err error) {
		err = in.database.sql.GetContext(ctx, &scanned, selectScannedSince, pq.Array(in.repairs.touched.ids), after)
		return scanned, err
	})
}

const selectScannedSince = `
SELECT NOT EXISTS (
    SELECT FROM public.projects p
    WHERE p.id = ANY ($1)
      AND NOT EXISTS (SELECT FROM regmend.data_repair_details d
                      WHERE d.project_id = p.id AND greatest(d.scan_number, d.failure_scan_number) > $2))`

// asGitLab changes GitLab's tables as GitLab does, in one transaction.
func (in *installation) asGitLab(ctx context.Context, items []plannedItem, do func(*sqlx.Tx) error) error {
	ids := plan{items: items}.projects()
	in.repairs.touched.add(ids)
	return in.witness.change(ctx, ids, do)
}
