package main

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/jmoiron/sqlx"
	"golang.org/x/sync/errgroup"
)

// gitlabFaults are what a stand-in for GitLab does to exactly the items that are
// being applied or undone.
var gitlabFaults = []struct {
	name   string
	inject func(context.Context, *repair) error
}{
	{"gitlab-inserts", gitlabInserts},
	{"gitlab-renames", beforeInsert(renameProject)},
	{"gitlab-deletes-project", beforeInsert(deleteProject)},
	{"gitlab-redirects", beforeInsert(redirectPath)},
	{"gitlab-cleans-up", beforeInsert(enablePolicy)},
	{"gitlab-deletes-row", atUndo(deleteRow)},
	{"gitlab-touches-row", atUndo(touchRow)},
	{"gitlab-refers-to-row", atUndo(referToRow)},
	{"gitlab-busy", gitlabBusy},
}

const (
	insertRow = `
INSERT INTO public.container_repositories (project_id, name, created_at, updated_at)
VALUES ($1, $2, now() AT TIME ZONE 'utc', now() AT TIME ZONE 'utc')
ON CONFLICT (project_id, name) DO NOTHING`

	deleteRow = `
DELETE FROM public.container_repositories c WHERE project_id = $1 AND name = $2`

	touchRow = `
UPDATE public.container_repositories SET status = 1, updated_at = now() AT TIME ZONE 'utc'
WHERE project_id = $1 AND name = $2`

	referToRow = `
INSERT INTO public.container_repository_states
SELECT id FROM public.container_repositories WHERE project_id = $1 AND name = $2
ON CONFLICT DO NOTHING`

	renameProject = `
WITH project AS (UPDATE public.projects SET path = path || '-put' WHERE id = $1 AND $2::text IS NOT NULL)
UPDATE public.routes SET path = path || '-put', updated_at = now() AT TIME ZONE 'utc'
WHERE source_type = 'Project' AND source_id = $1`

	redirectPath = `
INSERT INTO public.redirect_routes (source_id, source_type, path, created_at, updated_at)
SELECT (SELECT max(id) FROM public.projects WHERE id <> $1), 'Project', path, now() AT TIME ZONE 'utc', now() AT TIME ZONE 'utc'
FROM public.routes WHERE source_type = 'Project' AND source_id = $1 AND $2::text IS NOT NULL
ON CONFLICT DO NOTHING`

	enablePolicy = `
INSERT INTO public.container_expiration_policies (project_id, created_at, updated_at, enabled)
SELECT $1, now(), now(), true WHERE $2::text IS NOT NULL
ON CONFLICT (project_id) DO UPDATE SET enabled = true`

	// GitLab removes the repositories first.
	deleteProject = `
WITH args AS (SELECT $1::bigint AS id WHERE $2::text IS NOT NULL),
     repositories AS (DELETE FROM public.container_repositories WHERE project_id IN (SELECT id FROM args)),
     routes AS (DELETE FROM public.routes WHERE source_type = 'Project' AND source_id IN (SELECT id FROM args))
DELETE FROM public.projects WHERE id IN (SELECT id FROM args)`
)

// settled is how long a change has been there when the oracle holds regmend to it.
const settled = 200 * time.Millisecond

// change does to the item what the statement says; $1 is its project, $2 its name.
func (in *installation) change(ctx context.Context, item plannedItem, statement string) error {
	return in.asGitLab(ctx, []plannedItem{item}, func(tx *sqlx.Tx) error {
		_, err := tx.ExecContext(ctx, statement, item.Project, item.Name)
		return err
	})
}

// beforeInsert changes what stands around an item after it was planned and before
// it is inserted.
func beforeInsert(statement string) func(context.Context, *repair) error {
	return func(ctx context.Context, r *repair) error {
		item := r.one()
		return r.atAsked(ctx, item, func() error { return r.give(ctx, "apply") }, func() error {
			if err := r.change(ctx, item, statement); err != nil {
				return err
			}
			return during(ctx, settled)
		})
	}
}

// gitlabInserts lets GitLab insert the row at the same time: it is not committed
// yet when regmend inserts.
func gitlabInserts(ctx context.Context, r *repair) error {
	item := r.one()
	return r.whileAsked(ctx, item, func() error { return r.give(ctx, "apply") }, func(answer func()) error {
		return r.inTheWay(ctx, item, insertRow, func() error { answer(); return nil })
	})
}

// inTheWay changes the item in a transaction that regmend runs into, and commits it
// then.
func (r *repair) inTheWay(ctx context.Context, item plannedItem, statement string, begin func() error) error {
	return r.asGitLab(ctx, []plannedItem{item}, func(tx *sqlx.Tx) error {
		if _, err := tx.ExecContext(ctx, statement, item.Project, item.Name); err != nil {
			return err
		}
		if err := begin(); err != nil {
			return err
		}
		return awaitBlocked(ctx, tx)
	})
}

// awaitBlocked waits until somebody runs into what the transaction has locked.
func awaitBlocked(ctx context.Context, tx *sqlx.Tx) error {
	for end := time.Now().Add(meetLimit); time.Now().Before(end); {
		blocks, err := blocking(tx)(ctx)
		if blocks || err != nil {
			return err
		}
		if err := during(ctx, 10*time.Millisecond); err != nil {
			return err
		}
	}
	return errors.New("nobody runs into the stand-in's transaction")
}

// atUndo changes a row that is about to be removed: regmend waits for that.
func atUndo(statement string) func(context.Context, *repair) error {
	return func(ctx context.Context, r *repair) error {
		begin, err := r.giving(ctx, "undo")
		if err != nil {
			return err
		}
		return r.inTheWay(ctx, r.one(), statement, begin)
	}
}

// gitlabBusy does everything to any of the items as often as it can, while they are
// applied and undone.
func gitlabBusy(ctx context.Context, r *repair) error {
	stop := make(chan struct{})
	var busy errgroup.Group
	end := sync.OnceValue(func() error { close(stop); return busy.Wait() })
	for n := range 2 {
		dice := rand.New(rand.NewPCG(r.dice.Uint64(), uint64(n)))
		busy.Go(func() error { return r.meddle(ctx, dice, stop) })
	}
	err := r.carriedOut(ctx, "apply", r.plan)
	if err == nil {
		err = r.carriedOut(ctx, "undo", r.plan)
	}
	return errors.Join(err, end())
}

// meddle changes one item after the other until it is stopped.
func (r *repair) meddle(ctx context.Context, dice *rand.Rand, stop <-chan struct{}) error {
	statements := []string{insertRow, deleteRow, touchRow, touchRow, referToRow, redirectPath, enablePolicy}
	half := r.items[:len(r.items)/2] // the others are left to regmend
	for {
		select {
		case <-stop:
			return nil
		case <-time.After(between(dice, time.Millisecond, 50*time.Millisecond)):
		}
		item := half[dice.IntN(len(half))]
		// That something refers to the row, or a deadlock, is no fault of the harness.
		_ = r.change(ctx, item, statements[dice.IntN(len(statements))])
	}
}
