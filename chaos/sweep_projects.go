package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"regmend/shared/registry/registrytest"
	"regmend/shared/servers"

	"github.com/jmoiron/sqlx"
	"github.com/lib/pq"
)

// touchedInSweep is how many projects are changed at once. It is done in storms,
// too, and so more often than by other faults.
const touchedInSweep = 8

// sweptRun begins a run that begins with a sweep: every project is to be proven.
// Storms have begun one.
func (in *installation) sweptRun(ctx context.Context) error {
	if !in.registry.alone.Load() {
		return nil
	}
	if err := in.setStrategy(ctx, "sweep"); err != nil {
		return err
	}
	return in.beginRun(ctx, "chaos: what a sweep has kept changes")
}

// whileWalking changes projects that a sweep has kept, while it walks.
func (in *installation) whileWalking(ctx context.Context, dice *rand.Rand, change func(ids []int64) error) (healed, error) {
	ids, err := in.expendable(ctx, dice, touchedInSweep)
	if err != nil {
		return healed{}, err
	}
	if err := in.sweptRun(ctx); err != nil {
		return healed{}, err
	}
	if err := in.stopAt(ctx, registrytest.Catalog, func(sweep) error { return change(ids) }); err != nil {
		return healed{}, err
	}
	return in.cured(ctx)
}

// changeBy carries out a statement of which $1 is the projects.
func (in *installation) changeBy(ctx context.Context, ids []int64, statement string, args ...any) error {
	return in.witness.change(ctx, ids, func(tx *sqlx.Tx) error {
		_, err := tx.ExecContext(ctx, statement, append([]any{pq.Array(ids)}, args...)...)
		return err
	})
}

func renameInSweep(ctx context.Context, in *installation, dice *rand.Rand) (healed, error) {
	suffix := fmt.Sprintf("-moved%d", dice.IntN(1_000_000))
	return in.whileWalking(ctx, dice, func(ids []int64) error {
		in.moved.add(ids) // a result that they had by then stays, with the path that it is of
		return in.changeBy(ctx, ids, renameThese, suffix)
	})
}

func deleteInSweep(ctx context.Context, in *installation, dice *rand.Rand) (healed, error) {
	return in.whileWalking(ctx, dice, func(ids []int64) error { return in.changeBy(ctx, ids, deleteThese) })
}

const nameBack = `
WITH projects AS (UPDATE public.projects SET path = left(path, -length($2)) WHERE id = ANY ($1))
UPDATE public.routes SET path = left(path, -length($2))
WHERE source_type = 'Project' AND source_id = ANY ($1)`

// renameAndBack renames projects before the walk comes to them, and gives them
// their names back when it has ended: the pages with their repositories were
// nobody's.
func renameAndBack(ctx context.Context, in *installation, dice *rand.Rand) (healed, error) {
	ids, err := in.expendable(ctx, dice, touchedInSweep)
	if err != nil {
		return healed{}, err
	}
	if err := in.sweptRun(ctx); err != nil {
		return healed{}, err
	}
	const suffix = "-for-a-moment"
	err = in.stopAtBeginning(ctx, func(sweep) error { return in.changeBy(ctx, ids, renameThese, suffix) })
	if err != nil {
		return healed{}, err
	}
	in.moved.add(ids)
	back := func(sweep) error { return in.changeBy(ctx, ids, nameBack, suffix) }
	if err := in.meetSweep(ctx, gateWalked, back); err != nil {
		return healed{}, firstOf(err, back(sweep{}))
	}
	return in.cured(ctx)
}

const (
	selectReplaced = `
SELECT p.id, r.path FROM public.projects p JOIN public.routes r ON r.source_type = 'Project' AND r.source_id = p.id
WHERE p.id = ANY ($1) ORDER BY p.id`

	insertReplacement = `
WITH project AS (
    INSERT INTO public.projects (name, path, namespace_id, created_at, updated_at)
    SELECT name, path, namespace_id, now() AT TIME ZONE 'utc', now() AT TIME ZONE 'utc'
    FROM public.projects WHERE id = $1
    RETURNING id
)
INSERT INTO public.routes (source_id, source_type, path, name, created_at, updated_at)
SELECT id, 'Project', $2, $2, now() AT TIME ZONE 'utc', now() AT TIME ZONE 'utc' FROM project
RETURNING source_id`
)

// replaceInSweep deletes projects that a sweep has kept, and creates others in
// their place, to which the repositories in the registry belong from then on.
func replaceInSweep(ctx context.Context, in *installation, dice *rand.Rand) (healed, error) {
	return in.whileWalking(ctx, dice, func(ids []int64) error { return in.replaceProjects(ctx, ids) })
}

func (in *installation) replaceProjects(ctx context.Context, ids []int64) error {
	var created []int64
	return in.witness.changeAll(ctx, func() []int64 { return append(ids, created...) }, func(tx *sqlx.Tx) error {
		var replaced []present
		if err := tx.SelectContext(ctx, &replaced, selectReplaced, pq.Array(ids)); err != nil {
			return err
		}
		// The new ones get their routes when the old ones have none any more.
		for _, p := range replaced {
			if _, err := tx.ExecContext(ctx, `DELETE FROM public.routes WHERE source_type = 'Project' AND source_id = $1`, p.ID); err != nil {
				return err
			}
			var id int64
			if err := tx.GetContext(ctx, &id, insertReplacement, p.ID, p.Path); err != nil {
				return err
			}
			created = append(created, id)
		}
		_, err := tx.ExecContext(ctx, deleteThese, pq.Array(ids))
		return err
	})
}

// moved are projects that were renamed, to be scanned in the end.
type moved struct {
	mu  sync.Mutex
	ids []int64
}

func (m *moved) add(ids []int64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.ids = append(m.ids, ids...)
}

// forceMoved forces those that are still there.
func (in *installation) forceMoved(ctx context.Context) error {
	in.moved.mu.Lock()
	ids := slices.Clone(in.moved.ids)
	in.moved.mu.Unlock()
	if len(ids) == 0 {
		return nil
	}
	return servers.Await(ctx, "renamed projects are forced", 2*time.Minute, func(ctx context.Context) (bool, error) {
		var there []int64
		err := in.database.sql.SelectContext(ctx, &there, selectThere, pq.Array(ids), len(ids))
		if err == nil && len(there) > 0 {
			err = in.force(ctx, there...)
		}
		return err == nil, err
	})
}
