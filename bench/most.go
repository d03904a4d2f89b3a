package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"regmend/shared/gitlab"
	"regmend/shared/servers"
	"regmend/shared/stash"
)

// withoutChecks saves the foreign key's: what is inserted is there.
const withoutChecks = `SET LOCAL session_replication_role = replica; `

const completeAll = `
INSERT INTO regmend.data_repair_details (project_id, missing_count, status, updated_at, run_id, scan_number, full_path, method, pages, listed)
SELECT r.source_id, 0, 'completed', now(), (SELECT max(id) FROM regmend.runs), nextval('regmend.scan_number'), r.path, 'gitlab', 1, 0
FROM public.routes r`

// most measures what has to stay small or quick in the largest installation.
func (b *bench) most(ctx context.Context) error {
	if err := b.fullStash(ctx); err != nil {
		return err
	}
	if b.size.most == 0 {
		return nil
	}
	b.tell("%d projects", b.size.most)
	s := b.setting(b.size.most, 0, 8)
	s.most = 30 * time.Second
	for _, step := range []func(context.Context, setting) error{b.fillMost, b.pendingMost, b.completedMost} {
		if err := step(ctx, s); err != nil {
			return err
		}
	}
	return nil
}

func (b *bench) fillMost(ctx context.Context, s setting) error {
	if err := b.fill(ctx, s.orders.Shape); err != nil {
		return err
	}
	return b.freshRedis(ctx)
}

// pendingMost lets regmend work for a while where nearly everything is pending.
func (b *bench) pendingMost(ctx context.Context, s setting) error {
	if err := b.newRun(ctx); err != nil {
		return err
	}
	walked, err := b.walk(ctx)
	if err != nil {
		return err
	}
	b.addWalks(walked)
	if err := b.status(ctx, "all pending"); err != nil {
		return err
	}
	o, err := b.scan(ctx, s)
	if err != nil {
		return err
	}
	b.addMemory(fmt.Sprintf("%d projects pending", s.orders.Shape.Projects), o)
	return nil
}

// addWalks compares the walk with those of smaller installations.
func (b *bench) addWalks(walked float64) {
	b.add(figure{Name: fmt.Sprintf("buffers a project of the producer's walk at %d", b.shape.Projects), Values: sample{walked}})
	b.curves.walks = append(b.curves.walks, point{float64(b.shape.Projects), walked})
	if len(b.walks) == 0 {
		return
	}
	all := append(b.walks, walked)
	b.add(figure{
		Name: "buffers a project of the producer's walk, the most / the fewest", Values: sample{slices.Max(all) / slices.Min(all)},
		Goal: goal{atMost, 1.1},
	})
}

// completedMost asks for what is shown where everything is completed.
func (b *bench) completedMost(ctx context.Context, _ setting) error {
	for _, statement := range []string{forgetResults, withoutChecks + completeAll, `VACUUM ANALYZE regmend.data_repair_details`} {
		if _, err := b.sql.ExecContext(ctx, statement); err != nil {
			return err
		}
	}
	if err := b.status(ctx, "all completed"); err != nil {
		return err
	}
	return b.scrapes(ctx)
}

// status adds how long regmend status takes.
func (b *bench) status(ctx context.Context, state string) error {
	var s sample
	for range b.size.rounds {
		seconds, err := took(func() error { return b.regmend(ctx, "status") })
		if err != nil {
			return err
		}
		s = append(s, seconds)
	}
	b.add(figure{Name: fmt.Sprintf("status, %d projects, %s", b.shape.Projects, state), Values: s, Unit: "s", Goal: goal{atMost, 5}})
	return nil
}

// scrapes adds how long the pages' /metrics takes.
func (b *bench) scrapes(ctx context.Context) (err error) {
	port, err := servers.FreePort()
	if err != nil {
		return err
	}
	address := fmt.Sprint("127.0.0.1:", port)
	f := &fleet{in: b.installation, processes: map[string]*servers.Process{}}
	defer func() { err = errors.Join(err, f.stop()) }()
	if err := f.launch(ctx, "web", "web", "--listen", address); err != nil {
		return err
	}
	url := "http://" + address + "/metrics"
	err = servers.Await(ctx, "the pages are there", 20*time.Second, func(ctx context.Context) (bool, error) {
		err := servers.Fetch(ctx, url)
		return err == nil, err
	})
	if err != nil {
		return err
	}
	var s sample
	for range 50 {
		seconds, err := took(func() error { return servers.Fetch(ctx, url) })
		if err != nil {
			return err
		}
		s = append(s, 1000*seconds)
	}
	b.add(figure{Name: fmt.Sprintf("/metrics scrape, %d projects", b.shape.Projects), Values: s, Unit: "ms", Goal: goal{atMost, 10}})
	return nil
}

// fullStash fills the stash with large results, and flushes from it what is read
// at once.
func (b *bench) fullStash(ctx context.Context) error {
	b.tell("a stash full of large results")
	if b.sql == nil { // its figures are read with Postgres'
		if err := b.fill(ctx, shape{Projects: 1000}); err != nil {
			return err
		}
	}
	if err := b.freshRedis(ctx); err != nil {
		return err
	}
	own := stash.New(b.rdb, stash.Config{})
	missing := make([]string, 10_000)
	for i := range missing {
		missing[i] = fmt.Sprintf("%s/image-%d", strings.Repeat("deep/", 5), i)
	}
	for id := int64(1); ; id++ {
		r := gitlab.Result{
			Run: 1, Scan: id, Status: gitlab.Completed, Project: gitlab.Project{ID: id, FullPath: b.shape.fullPath(id)},
			Evidence: gitlab.Evidence{Method: "gitlab", Pages: 10, Listed: len(missing)}, Names: missing, Missing: missing,
		}
		if _, err := own.Put(ctx, []gitlab.Result{r}); errors.Is(err, stash.ErrFull) {
			break
		} else if err != nil {
			return err
		}
	}
	results, err := own.Oldest(ctx, flushSize)
	if err != nil {
		return err
	}
	if err := own.Ack(ctx, results); err != nil {
		return err
	}
	did, err := b.count(ctx)
	b.add(figure{
		Name: "peak memory, Redis, the stash full of large results", Unit: "MiB",
		Values: sample{mebibytes(did.RedisPeak)}, Goal: goal{atMost, 32},
	})
	return err
}

// freshRedis makes Redis forget everything, its peaks too.
func (in *installation) freshRedis(ctx context.Context) error {
	if err := in.rdb.FlushAll(ctx).Err(); err != nil {
		return err
	}
	if err := in.redis.Restart(ctx); err != nil {
		return err
	}
	return in.calm(ctx)
}
