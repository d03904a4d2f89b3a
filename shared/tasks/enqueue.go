package tasks

import (
	"context"
	"fmt"

	"github.com/hibiken/asynq"
	"github.com/redis/go-redis/v9"
)

// Enqueued is a scan and the batch as which it is enqueued.
type Enqueued struct {
	Batch Batch
	Scan  Scan
}

// EnqueueAll does for each what Enqueue does, in one round trip. After an error any
// of them may be enqueued.
func EnqueueAll(ctx context.Context, rdb redis.UniversalClient, queue string, all []Enqueued, options ...asynq.Option) error {
	pipe := rdb.Pipeline()
	if err := enqueueEach(ctx, &recorder{UniversalClient: rdb, pipe: pipe}, queue, all, options...); err != nil {
		return err
	}
	if pipe.Len() == 0 {
		return nil
	}
	_, err := pipe.Exec(ctx)
	switch {
	case redis.HasErrorPrefix(err, "NOSCRIPT"): // Redis has not seen asynq's script yet
		return enqueueEach(ctx, rdb, queue, all, options...)
	case err != nil:
		return fmt.Errorf("enqueue %d batches: %w", len(all), err)
	}
	return nil
}

func enqueueEach(ctx context.Context, rdb redis.UniversalClient, queue string, all []Enqueued, options ...asynq.Option) error {
	client := NewClient(rdb)
	for _, e := range all {
		if err := Enqueue(ctx, client, queue, e.Batch, e.Scan, options...); err != nil {
			return err
		}
	}
	return nil
}

// recorder keeps the scripts that asynq has Redis run, to be sent at once. That of
// enqueueing answers with 1, or with 0 where the task is there already, which is as
// good.
type recorder struct {
	redis.UniversalClient

	pipe redis.Pipeliner
}

// EvalSha keeps the script and tells asynq that all went well.
func (r *recorder) EvalSha(ctx context.Context, sha string, keys []string, args ...any) *redis.Cmd {
	r.pipe.EvalSha(ctx, sha, keys, args...)
	kept := redis.NewCmd(ctx)
	kept.SetVal(int64(1))
	return kept
}
