package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"regmend/shared/gitlab"
	"regmend/shared/registry"

	"github.com/hibiken/asynq"
	"github.com/jmoiron/sqlx"
	"github.com/lib/pq"
	"github.com/redis/go-redis/v9"
)

// The worker that GitLab shipped, with its result table.
const (
	createShipped = `
CREATE SCHEMA shipped;
CREATE TABLE shipped.details (
    project_id    bigint PRIMARY KEY REFERENCES public.projects ON DELETE CASCADE,
    missing_count integer NOT NULL DEFAULT 0,
    status        smallint NOT NULL,
    created_at    timestamptz NOT NULL DEFAULT now(),
    updated_at    timestamptz NOT NULL DEFAULT now())`

	forgetShipped = `TRUNCATE shipped.details`

	// pickPending is GitLab's scope: of the first few without a row one is taken.
	pickPending = `
SELECT p.id, (SELECT r.path FROM public.routes r WHERE r.source_type = 'Project' AND r.source_id = p.id) AS path
FROM public.projects p
LEFT OUTER JOIN shipped.details d ON d.project_id = p.id
WHERE d.project_id IS NULL
LIMIT $1`

	insertOngoing = `INSERT INTO shipped.details (project_id, status) VALUES ($1, 0) ON CONFLICT (project_id) DO NOTHING`
	countKnown    = `SELECT count(*) FROM public.container_repositories WHERE project_id = $1 AND name = ANY ($2)`
	updateDetails = `UPDATE shipped.details SET missing_count = $2, status = 1, updated_at = now() WHERE project_id = $1`
	selectShipped = `SELECT max(pg_xact_commit_timestamp(xmin)) FROM shipped.details`
	countShipped  = `SELECT count(*) FROM shipped.details WHERE status = 1`

	shippedQueue = "shipped"
	shippedPage  = 50
	shippedLease = time.Hour
)

// shipped is the design that GitLab shipped, on asynq: as many jobs as slots,
// each of which takes one project and enqueues the next job.
type shipped struct {
	sql      *sqlx.DB
	rdb      *redis.Client
	client   *asynq.Client
	registry *registry.Client
	slots    int
	until    time.Time
	done     chan struct{} // receives one from each job that is the last of its line
}

// shipped lets it analyse projects for a while, or until there are no more.
func (in *installation) shipped(ctx context.Context, s setting, most time.Duration) (o outcome, err error) {
	if _, err := in.sql.ExecContext(ctx, forgetShipped); err != nil {
		return o, err
	}
	if err := in.clearRedis(ctx); err != nil {
		return o, err
	}
	if err := in.stub.begin(ctx, s.orders); err != nil {
		return o, err
	}
	if err := in.runShipped(ctx, s.slots, time.Now().Add(most)); err != nil {
		return o, err
	}
	if err := in.sql.GetContext(ctx, &o.Projects, countShipped); err != nil {
		return o, err
	}
	if o.Projects == 0 {
		return o, fmt.Errorf("nothing was analysed in %s", most)
	}
	if o.Stub, err = in.stub.figures(ctx); err != nil {
		return o, err
	}
	o.Began = o.Stub.First
	return o, in.sql.GetContext(ctx, &o.Ended, selectShipped)
}

func (in *installation) runShipped(ctx context.Context, slots int, until time.Time) error {
	reg, err := registry.New(registry.Config{URL: in.stub.url, PageSize: func() int { return shippedPage }})
	if err != nil {
		return err
	}
	defer reg.Close()
	rdb := redis.NewClient(&redis.Options{Addr: in.redis.Addr})
	defer rdb.Close()
	in.sql.SetMaxIdleConns(slots + 2)
	w := &shipped{
		sql: in.sql, rdb: rdb, client: asynq.NewClientFromRedisClient(rdb), registry: reg,
		slots: slots, until: until, done: make(chan struct{}, slots),
	}
	server := asynq.NewServerFromRedisClient(rdb, asynq.Config{
		Concurrency: slots, Queues: map[string]int{shippedQueue: 1}, LogLevel: asynq.FatalLevel,
	})
	for range slots { // before it looks, and then looks again in a second
		if err := w.enqueue(ctx); err != nil {
			return err
		}
	}
	if err := server.Start(asynq.HandlerFunc(w.handle)); err != nil {
		return err
	}
	defer server.Shutdown()
	for range slots {
		select {
		case <-w.done:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	return nil
}

func (w *shipped) enqueue(ctx context.Context) error {
	_, err := w.client.EnqueueContext(ctx, asynq.NewTask("shipped", nil), asynq.Queue(shippedQueue))
	return err
}

// handle is one job.
func (w *shipped) handle(ctx context.Context, _ *asynq.Task) error {
	p, err := w.pick(ctx)
	if errors.Is(err, sql.ErrNoRows) || time.Now().After(w.until) {
		w.done <- struct{}{}
		return nil
	}
	if err == nil {
		err = w.analyse(ctx, p)
	}
	return errors.Join(err, w.enqueue(ctx))
}

// pick takes a random one of the pending projects, twice as many as there are
// jobs being looked at.
func (w *shipped) pick(ctx context.Context) (gitlab.Project, error) {
	var pending []struct {
		ID   int64  `db:"id"`
		Path string `db:"path"`
	}
	if err := w.sql.SelectContext(ctx, &pending, pickPending, 2*w.slots); err != nil {
		return gitlab.Project{}, err
	}
	if len(pending) == 0 {
		return gitlab.Project{}, sql.ErrNoRows
	}
	p := pending[rand.IntN(len(pending))]
	return gitlab.Project{ID: p.ID, FullPath: p.Path}, nil
}

// analyse is the job's work, under a lease of the project.
func (w *shipped) analyse(ctx context.Context, p gitlab.Project) error {
	lease := fmt.Sprint("shipped:lease:", p.ID)
	mine, err := w.rdb.SetNX(ctx, lease, 1, shippedLease).Result()
	if err != nil || !mine {
		return err
	}
	defer w.rdb.Del(ctx, lease)
	if _, err := w.sql.ExecContext(ctx, insertOngoing, p.ID); err != nil {
		return err
	}
	missing, err := w.missing(ctx, p)
	if err != nil {
		return err
	}
	_, err = w.sql.ExecContext(ctx, updateDetails, p.ID, missing)
	return err
}

func (w *shipped) missing(ctx context.Context, p gitlab.Project) (missing int, err error) {
	survey, err := w.registry.Survey(ctx, []gitlab.Project{p})
	if err != nil {
		return 0, err
	}
	_, err = survey.List(ctx, p, func(page []gitlab.Repository) error {
		if len(page) == 0 {
			return nil
		}
		names := make([]string, len(page))
		for i, r := range page {
			names[i] = r.Name
		}
		var known int
		if err := w.sql.GetContext(ctx, &known, countKnown, p.ID, pq.Array(names)); err != nil {
			return err
		}
		missing += len(names) - known
		return nil
	})
	return missing, err
}
