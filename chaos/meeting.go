package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"regmend/shared/servers"

	"github.com/jmoiron/sqlx"
	"github.com/lib/pq"
)

// Faults that have to meet regmend at one place: what leads it there, and what
// tells that it came.

// meetLimit is how long regmend may take to run into a fault. Other faults may
// keep it from its work meanwhile.
const meetLimit = time.Minute

// condition is what is awaited.
type condition func(context.Context) (bool, error)

// feeding brings flushes about until the condition holds.
type feeding func(context.Context, condition) error

// feeding forces the projects, again from time to time: other faults may lose
// them.
func (in *installation) feeding(what string, ids []int64) feeding {
	const patience = 15 * time.Second
	return func(ctx context.Context, holds condition) error {
		return servers.Await(ctx, what, meetLimit, func(ctx context.Context) (bool, error) {
			if err := in.force(ctx, ids...); err != nil {
				return false, err
			}
			err := servers.Await(ctx, what, patience, holds)
			return err == nil, err
		})
	}
}

// feed forces the projects once.
func (in *installation) feed(ctx context.Context, ids []int64) error {
	return in.feeding("regmend takes projects", ids)(ctx, func(context.Context) (bool, error) { return true, nil })
}

// failing holds when so many statements of regmend's failed with the SQLSTATE.
func (d *database) failing(state string, atLeast int) condition {
	return func(context.Context) (bool, error) {
		n, err := d.errorsOf(state)
		return n >= atLeast, err
	}
}

const selectBlocks = `
SELECT EXISTS (SELECT FROM pg_locks WHERE NOT granted AND pg_backend_pid() = ANY (pg_blocking_pids(pid)))`

// blocking holds when somebody waits for a lock of the transaction.
func blocking(tx *sqlx.Tx) condition {
	return func(ctx context.Context) (blocks bool, err error) {
		err = tx.GetContext(ctx, &blocks, selectBlocks)
		return blocks, err
	}
}

// keepResults lets nobody write results while the transaction lasts.
const keepResults = `LOCK TABLE regmend.data_repair_details IN SHARE MODE`

// meetFlush stops the next flush at its first write, which feed brings about if
// nothing else does, and lets it go on when do has returned.
func (d *database) meetFlush(ctx context.Context, feed feeding, do func()) error {
	tx, err := d.sql.BeginTxx(ctx, nil)
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback() }()
	if _, err := tx.ExecContext(ctx, keepResults); err != nil {
		return err
	}
	if err := feed(ctx, blocking(tx)); err != nil {
		return err
	}
	do()
	return nil
}

const selectResults = `
SELECT project_id FROM regmend.data_repair_details
WHERE status = 'completed' AND project_id >= $1 ORDER BY project_id LIMIT $2`

// analysed returns projects that have a result, one after the other, from where
// the dice say.
func (in *installation) analysed(ctx context.Context, dice *rand.Rand, n int) (ids []int64, err error) {
	err = servers.Await(ctx, "there are results", meetLimit, func(ctx context.Context) (bool, error) {
		from := in.world.Projects[dice.IntN(len(in.world.Projects))].ID
		err := in.database.sql.SelectContext(ctx, &ids, selectResults, from, n)
		return len(ids) > 1, err
	})
	return ids, err
}

const insertRows = `
INSERT INTO public.container_repositories (project_id, name, created_at, updated_at)
SELECT project_id, name, now() AT TIME ZONE 'utc', now() AT TIME ZONE 'utc'
FROM unnest($1::bigint[], $2::text[]) AS lost (project_id, name)`

const selectLost = `
SELECT project_id, name
FROM unnest($1::bigint[], $2::text[]) WITH ORDINALITY AS pushed (project_id, name, place)
WHERE EXISTS (SELECT FROM public.projects p WHERE p.id = pushed.project_id)
  AND NOT EXISTS (SELECT FROM public.container_repositories r
                  WHERE r.project_id = pushed.project_id AND r.name = pushed.name)
ORDER BY place LIMIT $3`

// insertLost gives up to n lost repositories their rows and returns whose they
// are.
func (in *installation) insertLost(ctx context.Context, dice *rand.Rand, n int) ([]int64, error) {
	ids, names := in.pushed(dice)
	var lost []struct {
		ID   int64 `db:"project_id"`
		Name string
	}
	if err := in.database.sql.SelectContext(ctx, &lost, selectLost, pq.Array(ids), pq.Array(names), n); err != nil {
		return nil, err
	}
	if len(lost) == 0 {
		return nil, errors.New("no repository is lost any more")
	}
	ids, names = nil, nil
	for _, r := range lost {
		ids, names = append(ids, r.ID), append(names, r.Name)
	}
	whose := slices.Compact(slices.Sorted(slices.Values(ids)))
	return whose, in.witness.change(ctx, whose, func(tx *sqlx.Tx) error {
		if _, err := tx.ExecContext(ctx, insertRows, pq.Array(ids), pq.Array(names)); err != nil {
			return fmt.Errorf("insert lost rows: %w", err)
		}
		return nil
	})
}

// pushed are the repositories that the registry has of eligible projects, from
// a project on that the dice choose.
func (in *installation) pushed(dice *rand.Rand) (ids []int64, names []string) {
	all := in.world.Projects
	from := dice.IntN(len(all))
	for i := range all {
		p := all[(from+i)%len(all)]
		if p.PendingDelete || p.Routeless {
			continue
		}
		for _, r := range p.Repositories {
			if r.Tagged {
				ids, names = append(ids, p.ID), append(names, r.Name)
			}
		}
	}
	return ids, names
}
