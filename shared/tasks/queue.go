package tasks

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/hibiken/asynq"
	"github.com/redis/go-redis/v9"
)

// NewClient makes a client for a handful of enqueueings. A client remembers
// which queues it has made known, so one that lives through a loss of Redis
// fills queues that no Inspector sees.
func NewClient(rdb redis.UniversalClient) *asynq.Client { return asynq.NewClientFromRedisClient(rdb) }

// Info tells what a queue holds; a queue to which nothing was ever enqueued
// holds nothing.
func Info(inspector *asynq.Inspector, queue string) (info *asynq.QueueInfo, err error) {
	defer illegible(&err)
	known, err := inspector.Queues()
	if err != nil {
		return nil, fmt.Errorf("list the queues: %w", err)
	}
	if !slices.Contains(known, queue) {
		return &asynq.QueueInfo{Queue: queue}, nil
	}
	info, err = inspector.GetQueueInfo(queue)
	if err != nil {
		return nil, fmt.Errorf("look at queue %s: %w", queue, err)
	}
	return info, nil
}

// Waiting counts the tasks of a queue that have not begun, in one round trip.
func Waiting(ctx context.Context, rdb redis.UniversalClient, queue string) (int, error) {
	prefix := "asynq:{" + queue + "}:"
	pipe := rdb.Pipeline()
	pending := pipe.LLen(ctx, prefix+"pending")
	scheduled, retried := pipe.ZCard(ctx, prefix+"scheduled"), pipe.ZCard(ctx, prefix+"retry")
	if _, err := pipe.Exec(ctx); err != nil {
		return 0, fmt.Errorf("look at queue %s: %w", queue, err)
	}
	return int(pending.Val() + scheduled.Val() + retried.Val()), nil
}

// Pending counts the tasks of each queue that could begin now, in one round trip.
func Pending(ctx context.Context, rdb redis.UniversalClient, queues ...string) (map[string]int64, error) {
	return lengths(ctx, rdb, "pending", queues...)
}

// lengths are those of a list that each queue has.
func lengths(ctx context.Context, rdb redis.UniversalClient, list string, queues ...string) (map[string]int64, error) {
	pipe := rdb.Pipeline()
	asked := make(map[string]*redis.IntCmd, len(queues))
	for _, queue := range queues {
		asked[queue] = pipe.LLen(ctx, "asynq:{"+queue+"}:"+list)
	}
	if _, err := pipe.Exec(ctx); err != nil {
		return nil, fmt.Errorf("look at the queues' %s tasks: %w", list, err)
	}
	found := make(map[string]int64, len(queues))
	for queue, length := range asked {
		found[queue] = length.Val()
	}
	return found, nil
}

// illegible makes an error of a panic: asynq panics where a foreign hand has
// written to its keys.
func illegible(err *error) {
	if r := recover(); r != nil {
		*err = fmt.Errorf("what Redis holds is not the queue's: %v", r)
	}
}

// mostActive bounds how many active tasks of a queue are looked at: there are
// as many as consumers have workers.
const mostActive = 10_000

// Enqueue enqueues a scan. That it is enqueued already, in whatever state, is
// success: a batch's ID stands for one enqueueing, and a reply can get lost.
// Options go before those of NewScan.
func Enqueue(ctx context.Context, client *asynq.Client, queue string, b Batch, s Scan, options ...asynq.Option) error {
	task, err := NewScan(queue, b, s)
	if err != nil {
		return err
	}
	_, err = enqueue(ctx, client, b, task, options...)
	return err
}

// EnqueueConfirm enqueues second looks, which begin in so long. Their payload is a
// scan's, whose After is below the scan numbers of the first looks at all its
// projects. That it is enqueued already is success, as with Enqueue.
func EnqueueConfirm(ctx context.Context, client *asynq.Client, s Scan, in time.Duration) error {
	if err := s.validate(); err != nil {
		return err
	}
	b := ConfirmBatch(s.Run, s.After, s.IDs[0])
	task, err := newScan(TypeConfirm, QueueConfirm, b, s)
	if err != nil {
		return err
	}
	_, err = enqueue(ctx, client, b, task, asynq.ProcessIn(in))
	return err
}

// enqueue tells whether the batch was not enqueued already.
func enqueue(ctx context.Context, client *asynq.Client, b Batch, task *asynq.Task, options ...asynq.Option) (bool, error) {
	_, err := client.EnqueueContext(ctx, task, options...)
	switch {
	case errors.Is(err, asynq.ErrTaskIDConflict):
		return false, nil
	case err != nil:
		return false, fmt.Errorf("enqueue batch %s: %w", b, err)
	}
	return true, nil
}

// Requeue enqueues the batch of that payload, whatever it is of, to be taken
// up again before all others. enqueued tells that it was not there, ended that it
// was and is over: completed, or archived.
func Requeue(ctx context.Context, rdb redis.UniversalClient, b Batch, payload []byte) (enqueued, ended bool, err error) {
	defer illegible(&err)
	queue, task, err := again(b, payload)
	if err != nil {
		return false, false, err
	}
	enqueued, err = enqueue(ctx, NewClient(rdb), b, task)
	if err != nil || enqueued {
		return enqueued, false, err
	}
	ended, err = over(rdb, queue, b)
	return false, ended, err
}

// again is the task that takes the batch of that payload up again, and its queue.
func again(b Batch, payload []byte) (queue string, task *asynq.Task, err error) {
	if s, err := DecodeSweep(payload); err == nil {
		task, err := NewSweep(b, s)
		return QueueSweep, task, err
	}
	if r, err := DecodeRepair(payload); err == nil {
		task, err := NewRepair(QueueRescue, b, r)
		return QueueRescue, task, err
	}
	s, err := DecodeScan(payload)
	if err != nil {
		return "", nil, err
	}
	task, err = NewScan(QueueRescue, b, s)
	return QueueRescue, task, err
}

// over tells whether the batch's task has ended. One that is gone has not: it can
// be enqueued.
func over(rdb redis.UniversalClient, queue string, b Batch) (bool, error) {
	task, err := asynq.NewInspectorFromRedisClient(rdb).GetTaskInfo(queue, b.String())
	switch {
	case errors.Is(err, asynq.ErrTaskNotFound):
		return false, nil
	case err != nil:
		return false, fmt.Errorf("look at batch %s: %w", b, err)
	}
	return task.State == asynq.TaskStateCompleted || task.State == asynq.TaskStateArchived, nil
}

// Running is a batch that the queue believes to be running.
type Running struct {
	Batch   Batch
	Payload []byte
}

// Active lists the batches that the queues believe to be running.
func Active(ctx context.Context, rdb redis.UniversalClient) (running []Running, err error) {
	defer illegible(&err)
	lengths, err := lengths(ctx, rdb, "active", QueueScan, QueueAdhoc, QueueConfirm, QueueRescue, QueueSweep, QueueRepair)
	if err != nil {
		return nil, err
	}
	for queue, n := range lengths {
		if n == 0 {
			continue // to list it takes three round trips
		}
		active, err := asynq.NewInspectorFromRedisClient(rdb).ListActiveTasks(queue, asynq.PageSize(mostActive))
		if errors.Is(err, asynq.ErrQueueNotFound) {
			continue // nothing was ever enqueued
		}
		if err != nil {
			return nil, fmt.Errorf("list the active tasks of queue %s: %w", queue, err)
		}
		for _, task := range active {
			if b, err := ParseBatch(task.ID); err == nil {
				running = append(running, Running{Batch: b, Payload: task.Payload})
			}
		}
	}
	return running, nil
}
