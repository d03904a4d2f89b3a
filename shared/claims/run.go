package claims

import (
	"context"
	"fmt"
	"maps"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/sirupsen/logrus"
)

// Requeue puts a batch back into a queue and tells whether it enqueued a task
// for it. One that is there already is no error; ended tells that it is over:
// completed, or given up.
type Requeue func(ctx context.Context, w Work) (enqueued, ended bool, err error)

// Run keeps the process's lease, and hands every batch that nobody works on any
// more to requeue, with its generation raised already, until ctx ends; then it
// gives the lease up. So it must end after the handlers: what is claimed then
// is put back at once. It returns nil.
//
// A batch is handed over once, over all processes, and again every two looks
// until somebody claims it or its task is found to have ended. active lists the
// scan tasks that the queue believes to be running; it may be nil, and so may
// requeue, which leaves the looking to other processes.
func (c *Claims) Run(ctx context.Context, requeue Requeue, active func(context.Context) ([]Work, error)) error {
	c.disturbed()
	var both sync.WaitGroup
	both.Go(func() { c.keep(ctx) })
	if requeue != nil {
		// Apart, for a queue that is slow to answer must not cost the lease.
		both.Go(func() { c.reap(ctx, requeue, active) })
	}
	both.Wait()
	return nil
}

// keep renews the lease until ctx ends, and then gives it up.
func (c *Claims) keep(ctx context.Context) {
	ticker := time.NewTicker(c.cfg.Lease / 3)
	defer ticker.Stop()
	outage := false
	for {
		err := c.renewOnce(ctx)
		switch {
		case ctx.Err() != nil:
			c.leave(context.WithoutCancel(ctx))
			return
		case err != nil && !outage:
			c.log.WithError(err).Warn("redis is away: the lease of this process is not renewed")
		case err == nil && outage:
			c.log.Info("redis is back: the lease of this process is renewed")
		}
		outage = err != nil
		select {
		case <-ticker.C:
		case <-ctx.Done():
		}
	}
}

// renewOnce renews the lease, lets go of what is lost and puts back what could
// not be released in time.
func (c *Claims) renewOnce(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, c.cfg.Lease/3)
	defer cancel()
	held, adrift := c.tokens()
	lost, err := c.renew(ctx, held)
	if err == nil {
		c.loseAll(lost)
		err = c.endAll(ctx, adrift)
	}
	if err != nil {
		c.disturbed()
	}
	return err
}

// tokens are those of the claims that are held and of those adrift, with the
// names of their batches.
func (c *Claims) tokens() (held, adrift map[int64]string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	held = map[int64]string{}
	for b, mine := range c.held {
		if mine.held {
			held[mine.token] = b.name
		}
	}
	return held, maps.Clone(c.adrift)
}

func (c *Claims) loseAll(tokens []int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for b, mine := range c.held {
		for _, token := range tokens {
			if mine.token == token {
				c.log.WithField("batch", b.name).Warn("claim lost")
				mine.lose()
			}
		}
	}
}

func (c *Claims) endAll(ctx context.Context, adrift map[int64]string) error {
	for token, name := range adrift {
		if err := c.end(ctx, token, name, true); err != nil {
			return fmt.Errorf("put batch %s back: %w", name, err)
		}
		c.mu.Lock()
		delete(c.adrift, token)
		c.mu.Unlock()
	}
	return nil
}

// disturbed puts off this process's looks for a lease. After an outage of Redis
// every lease has ended, and the living need that time to say that they live.
func (c *Claims) disturbed() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.calm = time.Now().Add(c.cfg.Lease)
}

// leave gives up the lease.
func (c *Claims) leave(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, c.cfg.Lease/3)
	defer cancel()
	_, adrift := c.tokens()
	err := c.endAll(ctx, adrift)
	if err == nil {
		_, err = c.rdb.TxPipelined(ctx, func(tx redis.Pipeliner) error {
			tx.ZRem(ctx, processesKey(), c.process)
			tx.HDel(ctx, infoKey(), c.process)
			return nil
		})
	}
	if err != nil {
		c.log.WithError(err).Warn("the lease of this process ends by itself")
	}
}

// reap looks for batches that nobody works on until ctx ends.
func (c *Claims) reap(ctx context.Context, requeue Requeue, active func(context.Context) ([]Work, error)) {
	wait := c.cfg.Look / 4
	for {
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return
		}
		due, next, err := c.lookDue(ctx)
		// Whoever looked last may have died: each is ready to be the next.
		wait = next + c.cfg.Look/4
		if err == nil && due {
			err = c.lookOnce(ctx, requeue, active)
		}
		if err != nil && ctx.Err() == nil {
			c.log.WithError(err).Debug("no look for abandoned batches")
		}
	}
}

// lookDue tells whether it is this process's turn to look now, and else in what
// time there may be another. Looks are some time apart: a task that has only just
// begun may not be claimed yet.
func (c *Claims) lookDue(ctx context.Context) (due bool, next time.Duration, err error) {
	c.mu.Lock()
	calm := c.calm
	c.mu.Unlock()
	if time.Now().Before(calm) {
		return false, 0, nil
	}
	apart := c.cfg.Look * 3 / 4
	var turn *redis.BoolCmd
	var left *redis.DurationCmd
	_, err = c.rdb.Pipelined(ctx, func(p redis.Pipeliner) error {
		turn = p.SetNX(ctx, lookKey(), c.process, apart)
		left = p.PTTL(ctx, lookKey())
		return nil
	})
	if err != nil {
		return false, 0, err
	}
	return turn.Val(), min(max(left.Val(), 0), apart), nil
}

func (c *Claims) lookOnce(ctx context.Context, requeue Requeue, active func(context.Context) ([]Work, error)) error {
	var tasks []Work
	if active != nil {
		var err error
		if tasks, err = active(ctx); err != nil {
			return fmt.Errorf("list running tasks: %w", err)
		}
	}
	found, err := c.look(ctx, tasks)
	if err != nil {
		return fmt.Errorf("look for abandoned batches: %w", err)
	}
	for _, w := range found {
		log := c.log.WithFields(logrus.Fields{"batch": w.Name, "generation": w.Generation})
		enqueued, ended, err := requeue(ctx, w)
		if err == nil && ended {
			err = c.pass(ctx, w)
		}
		switch {
		case err != nil:
			log.WithError(err).Warn("batch not put back yet")
		case enqueued:
			log.Info("batch put back")
		}
	}
	return nil
}
