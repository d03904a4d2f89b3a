package consumer

import (
	"context"
	"errors"
	"fmt"
	"time"

	"regmend/shared/claims"
	"regmend/shared/tasks"

	"github.com/hibiken/asynq"
)

// scanServer runs scans. Waiting for a slot happens inside the handler, which
// is cheaper than bouncing tasks, so what must not wait has a Server of its own.
func (c *Consumer) scanServer() *asynq.Server {
	return c.server(c.cfg.Workers, tasks.QueueScan)
}

// adhocServer takes what operators enqueue. In a queue beside another one of the
// same Server it would be asked for before each task of the other.
func (c *Consumer) adhocServer() *asynq.Server {
	return c.rareServer(c.cfg.Workers, tasks.QueueAdhoc)
}

// confirmServer makes the second looks, whose time the queue waits for: it takes
// them up beside scans that wait for a slot.
func (c *Consumer) confirmServer() *asynq.Server {
	return c.rareServer(c.cfg.Workers, tasks.QueueConfirm)
}

// theDead is how many dead processes' batches a process can take in hand at once.
const theDead = 8

// rescueServer takes the batches of dead processes in hand at once, also while
// every worker waits for a slot with a batch of its own.
func (c *Consumer) rescueServer() *asynq.Server {
	return c.rareServer(theDead*c.cfg.Workers, tasks.QueueRescue)
}

// flushServer runs one flush at a time.
func (c *Consumer) flushServer() *asynq.Server {
	return c.rareServer(1, tasks.QueueFlush)
}

// sweepServer carries on the one sweep there is.
func (c *Consumer) sweepServer() *asynq.Server {
	return c.rareServer(1, tasks.QueueSweep)
}

// repairServer puts back and removes what repairs are about.
func (c *Consumer) repairServer() *asynq.Server {
	return c.rareServer(c.cfg.Workers, tasks.QueueRepair)
}

// retainServer removes old versions beside everything else.
func (c *Consumer) retainServer() *asynq.Server {
	return c.rareServer(1, tasks.QueueRetain)
}

// server asks its queue once a second while that is empty.
func (c *Consumer) server(workers int, queue string) *asynq.Server {
	return asynq.NewServerFromRedisClient(c.rdb, c.serverConfig(workers, queue))
}

const (
	// answerIn is about how long a rare Server takes to look after its bell rang.
	answerIn = 10 * time.Millisecond
	// rarelyDelayed is how often it looks for what was given back or put off.
	rarelyDelayed = 5 * time.Second
)

// rareServer asks its queue when the bell rings.
func (c *Consumer) rareServer(workers int, queue string) *asynq.Server {
	cfg := c.serverConfig(workers, queue)
	cfg.TaskCheckInterval, cfg.DelayedTaskCheckInterval = answerIn, rarelyDelayed
	return asynq.NewServerFromRedisClient(c.bells.client(queue), cfg)
}

func (c *Consumer) serverConfig(workers int, queue string) asynq.Config {
	return asynq.Config{
		Concurrency: workers,
		Queues:      map[string]int{queue: 1},
		// A scan that had to leave is no failure: it counts no retry and goes
		// back at once. Nor is a second look that comes too early.
		IsFailure:                func(err error) bool { return !left(err) && !errors.As(err, new(tooEarly)) },
		RetryDelayFunc:           retryDelay,
		DelayedTaskCheckInterval: time.Second,
		ShutdownTimeout:          shutdownTimeout,
		Logger:                   newQueueLog(c.log),
		LogLevel:                 asynq.WarnLevel,
	}
}

// retryDelay keeps a batch that Redis could not be told of from waiting for
// long, and one that a fault of ours ends every time from coming up all the time.
func retryDelay(n int, err error, _ *asynq.Task) time.Duration {
	if left(err) {
		return 0
	}
	var early tooEarly
	if errors.As(err, &early) {
		return early.by
	}
	return min(time.Duration(n+1)*time.Second, time.Minute)
}

// left tells whether a handler had to leave, as opposed to failing.
func left(err error) bool {
	return errors.Is(err, errStopped) || errors.Is(err, context.Canceled) || errors.Is(err, claims.ErrClaimLost)
}

// start starts all servers with their handlers, or none.
func (c *Consumer) start(servers []*asynq.Server) error {
	mux := asynq.NewServeMux()
	mux.HandleFunc(tasks.TypeScan, c.handleScan)
	mux.HandleFunc(tasks.TypeConfirm, c.handleScan)
	mux.HandleFunc(tasks.TypeFlush, c.handleFlush)
	mux.HandleFunc(tasks.TypeSweep, c.handleSweep)
	mux.HandleFunc(tasks.TypeRetain, c.handleRetain)
	mux.HandleFunc(tasks.TypeRepair, c.handleRepair)
	for i, server := range servers {
		if err := server.Start(mux); err != nil {
			c.bells.stop()
			for _, started := range servers[:i] {
				started.Shutdown()
			}
			return fmt.Errorf("start working on the queues: %w", err)
		}
	}
	return nil
}
