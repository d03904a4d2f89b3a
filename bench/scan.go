package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"time"

	"regmend/shared/servers"

	"golang.org/x/sync/errgroup"
)

// outcome is what a contestant did in a round.
type outcome struct {
	Projects int64
	// Began is the first listing, Ended when the last result was safe: its row
	// committed, or, for the limit, its answer read.
	Began, Ended time.Time
	Stub         told
	// Since is how long before Began scanning was enabled.
	Since time.Duration
	// Processes tells what each of regmend's took.
	Processes map[string]usage
	Work      work
}

// rate is how many projects a second.
func (o outcome) rate() float64 { return float64(o.Projects) / o.Ended.Sub(o.Began).Seconds() }

// busy is the mean share of the slots that had a request at the registry.
func (o outcome) busy(slots int) float64 {
	return o.Stub.Busy.Seconds() / o.Stub.Last.Sub(o.Stub.First).Seconds() / float64(slots)
}

// setting is how a round is run.
type setting struct {
	orders    orders
	slots     int
	consumers int
}

const (
	forgetRegmend = `TRUNCATE regmend.runs, regmend.data_repair_details, regmend.missing_repositories`
	selectDone    = `SELECT count(*) FROM regmend.data_repair_details WHERE status = 'completed'`
	selectLast    = `SELECT max(pg_xact_commit_timestamp(xmin)) FROM regmend.data_repair_details`
)

// scan lets regmend scan every project from the beginning, project by project.
func (in *installation) scan(ctx context.Context, s setting) (o outcome, err error) {
	if err := in.prepare(ctx, s); err != nil {
		return o, err
	}
	f := &fleet{in: in}
	defer func() { err = errors.Join(err, f.stop()) }()
	if err := f.start(ctx, s.consumers); err != nil {
		return o, err
	}
	if err := in.stub.begin(ctx, s.orders); err != nil {
		return o, err
	}
	before, err := in.count(ctx)
	if err != nil {
		return o, err
	}
	if err := in.regmend(ctx, "enable"); err != nil {
		return o, err
	}
	enabled := time.Now()
	if err := in.awaitResults(ctx); err != nil {
		return o, errors.Join(err, f.tails())
	}
	o.Projects = in.all()
	if o.Processes, err = f.usage(); err != nil {
		return o, err
	}
	if o.Work, err = in.since(ctx, before); err != nil {
		return o, err
	}
	if o.Stub, err = in.stub.figures(ctx); err != nil {
		return o, err
	}
	o.Began, o.Since = o.Stub.First, o.Stub.First.Sub(enabled)
	return o, in.sql.GetContext(ctx, &o.Ended, selectLast)
}

// prepare makes regmend as new.
func (in *installation) prepare(ctx context.Context, s setting) error {
	if _, err := in.sql.ExecContext(ctx, forgetRegmend); err != nil {
		return err
	}
	if err := in.clearRedis(ctx); err != nil {
		return err
	}
	if err := in.regmend(ctx, "disable"); err != nil {
		return err
	}
	return in.regmend(ctx, "settings", "set", "max_concurrency", fmt.Sprint(s.slots))
}

// clearRedis leaves one key: without the epoch of the slots nothing is granted
// for ten seconds, in case they are held by somebody.
func (in *installation) clearRedis(ctx context.Context) error {
	keys, err := in.rdb.Keys(ctx, "*").Result()
	if err != nil {
		return err
	}
	keys = slices.DeleteFunc(keys, func(key string) bool { return key == "regmend:slots:epoch" })
	if len(keys) > 0 {
		if err := in.rdb.Del(ctx, keys...).Err(); err != nil {
			return err
		}
	}
	return in.rdb.ConfigResetStat(ctx).Err()
}

// all is how many projects there are.
func (in *installation) all() int64 {
	if in.shape.Large > 0 {
		return in.shape.Projects + 1
	}
	return in.shape.Projects
}

// awaitResults looks rarely: counting is work, too.
func (in *installation) awaitResults(ctx context.Context) error {
	ctx, cancel := context.WithTimeoutCause(ctx, time.Hour, errors.New("not every project is analysed within an hour"))
	defer cancel()
	pause := 100 * time.Millisecond
	for {
		var done int64
		began := time.Now()
		if err := in.sql.GetContext(ctx, &done, selectDone); err != nil {
			return errors.Join(err, context.Cause(ctx))
		}
		if done >= in.all() {
			return nil
		}
		select {
		case <-time.After(max(pause, 20*time.Since(began))):
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// fleet is regmend's processes: a producer and consumers.
type fleet struct {
	in        *installation
	processes map[string]*servers.Process
}

func (f *fleet) start(ctx context.Context, consumers int) error {
	f.processes = map[string]*servers.Process{}
	if err := f.launch(ctx, "producer", "producer"); err != nil {
		return err
	}
	for i := range consumers {
		if err := f.launch(ctx, fmt.Sprint("consumer ", i+1), "consumer"); err != nil {
			return err
		}
	}
	return await(ctx, "regmend's processes are there", 20*time.Second, func(ctx context.Context) (bool, error) {
		n, err := f.in.rdb.ZCard(ctx, "regmend:processes").Result()
		return int(n) > consumers, err
	})
}

func (f *fleet) launch(ctx context.Context, name string, args ...string) error {
	process, err := servers.Start(f.in.command(context.WithoutCancel(ctx), args...), filepath.Join(f.in.dir, name+".log"))
	if err == nil {
		f.processes[name] = process
	}
	return err
}

func (f *fleet) usage() (map[string]usage, error) {
	all := map[string]usage{}
	for name, p := range f.processes {
		u, err := usageOf(p.PID())
		if err != nil {
			return nil, err
		}
		all[name] = u
	}
	return all, nil
}

// tails are the last lines that the processes logged.
func (f *fleet) tails() error {
	var errs []error
	for name, p := range f.processes {
		errs = append(errs, fmt.Errorf("%s: %s", name, p.Tail()))
	}
	return errors.Join(errs...)
}

func (f *fleet) stop() error {
	var stops errgroup.Group
	for _, p := range f.processes {
		stops.Go(p.Stop)
	}
	return stops.Wait()
}
