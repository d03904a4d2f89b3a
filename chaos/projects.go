package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"github.com/jmoiron/sqlx"
	"github.com/lib/pq"
)

const (
	deleteThese = `
WITH repositories AS (DELETE FROM public.container_repositories WHERE project_id = ANY ($1)),
     routes AS (DELETE FROM public.routes WHERE source_type = 'Project' AND source_id = ANY ($1))
DELETE FROM public.projects WHERE id = ANY ($1)`

	renameThese = `
WITH projects AS (UPDATE public.projects SET path = path || $2, updated_at = now() AT TIME ZONE 'utc' WHERE id = ANY ($1))
UPDATE public.routes SET path = path || $2, updated_at = now() AT TIME ZONE 'utc'
WHERE source_type = 'Project' AND source_id = ANY ($1)`

	selectGone = `
SELECT NOT EXISTS (SELECT FROM regmend.data_repair_details WHERE project_id = ANY ($1))
   AND EXISTS (SELECT FROM regmend.data_repair_details WHERE updated_at > $2)`

	selectMoved = `
SELECT count(*) = cardinality($1::bigint[]) FROM regmend.data_repair_details d
JOIN public.routes r ON r.source_type = 'Project' AND r.source_id = d.project_id AND r.path = d.full_path
WHERE d.project_id = ANY ($1) AND d.status = 'completed' AND d.updated_at > $2`
)

// touched is how many projects are deleted or renamed at once.
const touched = 20

// deleteProjects deletes projects whose results wait in the stash.
func deleteProjects(ctx context.Context, in *installation, dice *rand.Rand) (healed, error) {
	ids, err := in.betweenScanAndFlush(ctx, dice, func(tx *sqlx.Tx, ids []int64) error {
		_, err := tx.ExecContext(ctx, deleteThese, pq.Array(ids))
		return err
	})
	if err != nil {
		return healed{}, err
	}
	since := time.Now()
	return healed{since: since, back: func(ctx context.Context) (bool, error) {
		if waiting, err := in.stashed(ctx, ids); err != nil || waiting > 0 {
			return false, err
		}
		return in.database.holds(ctx, selectGone, ids, since)
	}}, nil
}

// renameProjects renames projects whose results wait in the stash under the
// path they had.
func renameProjects(ctx context.Context, in *installation, dice *rand.Rand) (healed, error) {
	suffix := fmt.Sprintf("-moved%d", dice.IntN(1_000_000))
	ids, err := in.betweenScanAndFlush(ctx, dice, func(tx *sqlx.Tx, ids []int64) error {
		_, err := tx.ExecContext(ctx, renameThese, pq.Array(ids), suffix)
		return err
	})
	if err != nil {
		return healed{}, err
	}
	since := time.Now()
	return healed{since: since, back: func(ctx context.Context) (bool, error) {
		return in.database.holds(ctx, selectMoved, ids, since)
	}}, in.feed(ctx, ids)
}

func (d *database) holds(ctx context.Context, question string, ids []int64, since time.Time) (so bool, err error) {
	err = d.sql.GetContext(ctx, &so, question, pq.Array(ids), since)
	return so, err
}

// betweenScanAndFlush changes projects at a moment when results of theirs wait
// in the stash, and keeps these from being written before.
func (in *installation) betweenScanAndFlush(ctx context.Context, dice *rand.Rand, change func(*sqlx.Tx, []int64) error) ([]int64, error) {
	if err := in.working(ctx); err != nil {
		return nil, err
	}
	ids, err := in.expendable(ctx, dice, touched)
	if err != nil {
		return nil, err
	}
	wait := func(ctx context.Context) (bool, error) {
		waiting, err := in.stashed(ctx, ids)
		return waiting >= len(ids)/2, err
	}
	return ids, in.feeding("results wait in the stash", ids)(ctx, func(ctx context.Context) (bool, error) {
		if ok, err := wait(ctx); !ok {
			return false, err
		}
		err := in.witness.change(ctx, ids, func(tx *sqlx.Tx) error {
			if _, err := tx.ExecContext(ctx, keepResults); err != nil {
				return err
			}
			if ok, err := wait(ctx); !ok {
				return errors.Join(err, errors.New("they were flushed meanwhile"))
			}
			return change(tx, ids)
		})
		return err == nil, err
	})
}

// stashed counts the projects of which a result waits in the stash.
func (in *installation) stashed(ctx context.Context, ids []int64) (int, error) {
	fields, err := in.redis.client().ZRange(ctx, stashOrder, 0, -1).Result()
	if err != nil {
		return 0, err
	}
	waiting := map[string]bool{}
	for _, field := range fields {
		id, _, _ := strings.Cut(field, ":")
		waiting[id] = true
	}
	n := 0
	for _, id := range ids {
		if waiting[fmt.Sprint(id)] {
			n++
		}
	}
	return n, nil
}

const selectThere = `
SELECT id FROM unnest($1::bigint[]) WITH ORDINALITY AS wanted (id, place)
WHERE EXISTS (SELECT FROM public.projects p WHERE p.id = wanted.id) ORDER BY place LIMIT $2`

// few repositories has a project that can be renamed without GitLab's rows seeming
// to be of another registry.
const few = 20

// expendable are up to n projects with repositories that no other fault needs.
func (in *installation) expendable(ctx context.Context, dice *rand.Rand, n int) (ids []int64, err error) {
	var all []int64
	for _, p := range in.world.Projects {
		if len(p.Repositories) > 0 && len(p.Repositories) <= few && !p.PendingDelete && !p.Routeless && !ordinary(p) {
			all = append(all, p.ID)
		}
	}
	dice.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	if err := in.database.sql.SelectContext(ctx, &ids, selectThere, pq.Array(all), n); err != nil {
		return nil, err
	}
	if len(ids) == 0 {
		return nil, errors.New("there are no more projects to delete or rename")
	}
	return slices.Sorted(slices.Values(ids)), nil
}
