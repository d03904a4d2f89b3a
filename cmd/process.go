package cmd

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"os/user"
	"strconv"
	"time"

	"regmend/dashboard"
	"regmend/schema"
	"regmend/shared/claims"
	"regmend/shared/postgres"

	"github.com/sirupsen/logrus"
	"golang.org/x/sync/errgroup"
)

// processName names this process for others: host, process ID, and something
// random, as containers share both.
func processName() string {
	return fmt.Sprintf("%s-%d-%s", hostname(), os.Getpid(), rand.Text()[:6])
}

// introduce is what others are told of this process.
func (x *parts) introduce(kind string) claims.Info {
	return claims.Info{Kind: kind, Host: hostname(), PID: os.Getpid(), Version: versionOf(x.process), StartedAt: time.Now().UTC()}
}

// operator is who changes something by hand.
func operator() string {
	name := strconv.Itoa(os.Getuid())
	if u, err := user.Current(); err == nil {
		name = u.Username
	}
	return name + "@" + hostname()
}

func hostname() string {
	host, err := os.Hostname()
	if err != nil {
		return "unknown"
	}
	return host
}

// runner is something that runs until its context ends.
type runner func(ctx context.Context) error

// alongside runs work, and the helpers until work has ended: they live on while
// work stops. The first that fails ends all.
func alongside(ctx context.Context, work runner, helpers ...runner) error {
	group, helping := errgroup.WithContext(context.WithoutCancel(ctx))
	helping, dismiss := context.WithCancel(helping)
	working, abort := context.WithCancelCause(ctx)
	context.AfterFunc(helping, func() { abort(context.Cause(helping)) })
	for _, help := range helpers {
		group.Go(func() error { return unlessStopped(helping, help(helping)) })
	}
	group.Go(func() error {
		defer dismiss()
		return unlessStopped(working, work(working))
	})
	return group.Wait()
}

// unlessStopped drops the error that only says the context ended.
func unlessStopped(ctx context.Context, err error) error {
	if ctx.Err() != nil && errors.Is(err, context.Canceled) {
		return nil
	}
	return err
}

// watched runs work once Postgres and Redis are there, with the watch beside it
// until it has ended.
func watched(src dashboard.Sources, watch *postgres.Watch, log logrus.FieldLogger, work runner) runner {
	return func(ctx context.Context) error {
		if err := awaitParts(ctx, src, log); err != nil {
			return err
		}
		return alongside(ctx, work, watch.Run)
	}
}

// awaitParts waits until Postgres and Redis answer, for however long that
// takes. A schema that is not this program's no waiting mends.
func awaitParts(ctx context.Context, src dashboard.Sources, log logrus.FieldLogger) error {
	await := func(part string, ping func(context.Context) error) error {
		for {
			err := ping(ctx)
			if err == nil || ctx.Err() != nil {
				return ctx.Err()
			}
			log.WithError(err).WithField("part", part).Warn("waiting for a part that cannot be reached")
			if err := pause(ctx, awaitPause); err != nil {
				return err
			}
		}
	}
	if err := await("postgres", src.DB.Ping); err != nil {
		return err
	}
	if err := await("redis", func(ctx context.Context) error { return src.Redis.Ping(ctx).Err() }); err != nil {
		return err
	}
	var unfit error
	err := await("postgres", func(ctx context.Context) error {
		err := src.DB.CheckSchema(ctx, schema.Migrations)
		if postgres.Away(err) {
			return err // again, since it answered
		}
		unfit = err
		return nil
	})
	return errors.Join(err, unfit)
}

const awaitPause = 2 * time.Second

func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}
