package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"regmend/shared/servers"
)

// outcome is what a contestant did in a round.
type outcome struct {
	Projects   int64 // of which there is a result
	candidates int64 // of a sweep
	// Began is the first listing, Ended when the last result was safe: its row
	// committed, or, for the limit, its answer read.
	Began, Ended time.Time
	Stub         told
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
	// most is for how long it may work; 0: until all is done.
	most  time.Duration
	sweep bool // by the catalog instead of project by project
}

const (
	forgetRegmend = `
TRUNCATE regmend.runs, regmend.data_repair_details, regmend.missing_repositories, regmend.young_repositories,
         regmend.looks, regmend.looked_repositories, regmend.snapshots, regmend.snapshot_contents, regmend.shrinkage,
         regmend.sweeps, regmend.sweep_projects, regmend.sweep_candidates, regmend.sweep_sample, regmend.unowned_repositories`

	selectDone  = `SELECT count(*) FROM regmend.data_repair_details WHERE status = 'completed'`
	selectLast  = `SELECT max(pg_xact_commit_timestamp(xmin)) FROM regmend.data_repair_details`
	selectFound = `
SELECT count(*) AS completed, coalesce(sum(missing_count), 0) AS missing
FROM regmend.data_repair_details
WHERE status = 'completed'`
)

// scan lets regmend analyse every project from the beginning.
func (in *installation) scan(ctx context.Context, s setting) (o outcome, err error) {
	if err := in.prepare(ctx, s); err != nil {
		return o, err
	}
	f := &fleet{in: in}
	defer func() { err = errors.Join(err, f.stop()) }()
	before, err := in.set(ctx, s, f)
	if err != nil {
		return o, err
	}
	if o.Projects, err = in.awaitResults(ctx, s.most); err != nil {
		return o, errors.Join(err, f.tails())
	}
	if o.Processes, err = f.usage(); err != nil {
		return o, err
	}
	if o.Work, err = in.since(ctx, before); err != nil {
		return o, err
	}
	return o, in.conclude(ctx, s, &o)
}

// set starts the processes and sets them to work. It returns what Postgres and
// Redis had done until then.
func (in *installation) set(ctx context.Context, s setting, f *fleet) (before work, err error) {
	if err := in.stub.begin(ctx, s.orders); err != nil { // the processes ask it at once
		return before, err
	}
	if err := f.start(ctx, s); err != nil {
		return before, err
	}
	begin := enable
	if s.sweep {
		if err := in.ready(ctx); err != nil {
			return before, errors.Join(err, f.tails())
		}
		begin = []string{"sweep"}
	}
	if err := in.stub.begin(ctx, s.orders); err != nil {
		return before, err
	}
	if before, err = in.count(ctx); err != nil {
		return before, err
	}
	if err := in.regmend(ctx, begin...); err != nil || s.sweep {
		return before, err
	}
	if err := in.awaitListing(ctx); err != nil {
		return before, errors.Join(err, f.tails())
	}
	return before, nil
}

// enable turns scanning on as the verb does, without its checks: they ask the
// registry, too.
var enable = []string{"settings", "set", "scan_enabled", "true"}

// ready enables scanning, and waits until it may begin: there is nothing to scan
// while there is no producer.
func (in *installation) ready(ctx context.Context) error {
	if err := in.regmend(ctx, enable...); err != nil {
		return err
	}
	return servers.Await(ctx, "known repositories were looked for", 20*time.Second, func(ctx context.Context) (bool, error) {
		age, err := in.rdb.TTL(ctx, "regmend:witness").Result()
		return age > 0 && age < witnessFor-2*time.Second, err
	})
}

// witnessFor is how long the outcome of a look for known repositories is kept.
const witnessFor = 10 * time.Minute

// conclude adds when it was, and makes sure that what was found is right.
func (in *installation) conclude(ctx context.Context, s setting, o *outcome) (err error) {
	if s.most > 0 {
		if err := in.settle(ctx); err != nil {
			return err
		}
	}
	if o.Stub, err = in.stub.figures(ctx); err != nil {
		return err
	}
	var found struct{ Completed, Missing int64 }
	if err := in.sql.GetContext(ctx, &found, selectFound); err != nil {
		return err
	}
	o.Projects = found.Completed
	if want := in.shape.missing(); o.Projects == in.all() && found.Missing != want {
		return fmt.Errorf("%d repositories were found missing, %d are", found.Missing, want)
	}
	switch o.Began = o.Stub.First; {
	case s.sweep:
		err = in.swept(ctx, o)
	case s.most > 0:
		o.Ended = o.Stub.Last
		return nil
	}
	return errors.Join(err, in.sql.GetContext(ctx, &o.Ended, selectLast))
}

// settle stops the scanning, and waits until all that was scanned is written.
func (in *installation) settle(ctx context.Context) error {
	if err := in.regmend(ctx, "disable"); err != nil {
		return err
	}
	var last told
	return servers.Await(ctx, "what was scanned is written", 20*time.Second, func(ctx context.Context) (bool, error) {
		before := last
		var err error
		if last, err = in.stub.figures(ctx); err != nil || last.Listings != before.Listings {
			return false, err
		}
		waiting, err := in.rdb.ZCard(ctx, stashOrder).Result()
		return waiting == 0 && time.Since(last.Last) > time.Second, err
	})
}

// prepare makes regmend as new.
func (in *installation) prepare(ctx context.Context, s setting) error {
	if _, err := in.sql.ExecContext(ctx, forgetRegmend); err != nil {
		return err
	}
	if err := in.regmend(ctx, "disable"); err != nil {
		return err
	}
	if err := in.newRun(ctx); err != nil {
		return err
	}
	// With the brake on a run begins with 2 slots, whatever the cap.
	if err := in.regmend(ctx, "settings", "set", "brake", "off"); err != nil {
		return err
	}
	// What is missing is looked at twice, as ever, but without a wait between.
	for _, at := range []string{"confirm_after", "min_age"} {
		if err := in.regmend(ctx, "settings", "set", at, "0s"); err != nil {
			return err
		}
	}
	return in.regmend(ctx, "settings", "set", "max_concurrency", fmt.Sprint(s.slots))
}

// stashOrder has the results that wait to be written.
const stashOrder = "regmend:stash:order"

// slotsEpoch is the key without which nothing is granted for ten seconds, in case
// slots are held by somebody.
const slotsEpoch = "regmend:slots:epoch"

// calm tells a Redis that has just started that nobody holds a slot.
func (in *installation) calm(ctx context.Context) error {
	info, err := in.rdb.InfoMap(ctx, "server").Result()
	if err != nil {
		return err
	}
	return in.rdb.HSet(ctx, slotsEpoch, "run_id", info["Server"]["run_id"], "quiet_until", 0, "grants", 0).Err()
}

// clearRedis leaves nothing but calm.
func (in *installation) clearRedis(ctx context.Context) error {
	keys, err := in.rdb.Keys(ctx, "*").Result()
	if err != nil {
		return err
	}
	keys = slices.DeleteFunc(keys, func(key string) bool { return key == slotsEpoch })
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

// awaitListing waits for the first: with it the time begins to run.
func (in *installation) awaitListing(ctx context.Context) error {
	return servers.Await(ctx, "something is listed", time.Minute, func(ctx context.Context) (bool, error) {
		told, err := in.stub.figures(ctx)
		return told.Listings > 0, err
	})
}

// awaitResults waits until all is done, or the time is over and something is, and
// returns how many results there are: a rate of 0 makes no ratio. It looks rarely:
// counting is work, too.
func (in *installation) awaitResults(ctx context.Context, most time.Duration) (done int64, err error) {
	ctx, cancel := context.WithTimeoutCause(ctx, time.Hour, errors.New("not every project is analysed within an hour"))
	defer cancel()
	since := time.Now()
	for {
		began := time.Now()
		if err := in.sql.GetContext(ctx, &done, selectDone); err != nil {
			return 0, errors.Join(err, context.Cause(ctx))
		}
		if done >= in.all() || most > 0 && done > 0 && time.Since(since) > most {
			return done, nil
		}
		select {
		case <-time.After(max(100*time.Millisecond, 20*time.Since(began))):
		case <-ctx.Done():
			return 0, context.Cause(ctx)
		}
	}
}
