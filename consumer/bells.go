package consumer

import (
	"context"
	"time"

	"regmend/shared/tasks"

	"github.com/redis/go-redis/v9"
)

// bells wake the Servers whose queues are mostly empty. asynq has each Server ask
// its own queue all the time; here one round trip looks at all such queues, and
// only a Server for which something waits asks.
type bells struct {
	rdb     redis.UniversalClient
	rung    map[string]chan struct{} // each holds one
	stopped chan struct{}            // closed when nothing more is to be taken
}

// rarelyFilled are the queues that have a bell.
func rarelyFilled() []string {
	return []string{
		tasks.QueueAdhoc, tasks.QueueConfirm, tasks.QueueRescue, tasks.QueueFlush, tasks.QueueSweep,
		tasks.QueueRetain, tasks.QueueRepair,
	}
}

func newBells(rdb redis.UniversalClient) *bells {
	b := &bells{rdb: rdb, rung: map[string]chan struct{}{}, stopped: make(chan struct{})}
	for _, queue := range rarelyFilled() {
		b.rung[queue] = make(chan struct{}, 1)
	}
	return b
}

// run looks at the queues until ctx ends.
func (b *bells) run(ctx context.Context) error {
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil
		}
		pending, err := tasks.Pending(ctx, b.rdb, rarelyFilled()...)
		if err != nil {
			continue // Redis away: the keeper says so
		}
		for queue, n := range pending {
			if n > 0 {
				b.ring(queue)
			}
		}
	}
}

// ring has the Server of that queue look.
func (b *bells) ring(queue string) {
	select {
	case b.rung[queue] <- struct{}{}:
	default: // it is about to
	}
}

// stop has the Servers take nothing more.
func (b *bells) stop() { close(b.stopped) }

// client is what the Server of that queue has Redis asked through.
func (b *bells) client(queue string) redis.UniversalClient {
	return &sleeper{UniversalClient: b.rdb, bells: b, queue: queue, pending: "asynq:{" + queue + "}:pending"}
}

// sleeper asks Redis for a task when the bell has rung, and not before.
type sleeper struct {
	redis.UniversalClient

	bells   *bells
	queue   string
	pending string
}

// EvalSha waits where the script is the one that takes a task: of all of asynq's
// it alone names the list of pending tasks first.
func (s *sleeper) EvalSha(ctx context.Context, sha string, keys []string, args ...any) *redis.Cmd {
	if len(keys) == 0 || keys[0] != s.pending {
		return s.UniversalClient.EvalSha(ctx, sha, keys, args...)
	}
	select {
	case <-s.bells.rung[s.queue]:
	case <-s.bells.stopped:
		return nothing(ctx)
	}
	taken := s.UniversalClient.EvalSha(ctx, sha, keys, args...)
	if taken.Err() == nil {
		s.bells.ring(s.queue) // there may be another one
	}
	return taken
}

// nothing is the answer of an empty queue.
func nothing(ctx context.Context) *redis.Cmd {
	cmd := redis.NewCmd(ctx)
	cmd.SetErr(redis.Nil)
	return cmd
}
