package tasks

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/hibiken/asynq"
	"github.com/redis/go-redis/v9"
)

const (
	// retainEvery is how often old versions are removed at most.
	retainEvery = time.Hour
	// retainTimeout is many times what removing takes.
	retainTimeout  = 30 * time.Minute
	retainMaxRetry = 10
)

// newRetain makes the task that removes old versions, of the hour that at is in:
// its ID is the hour's, and it is retained for longer than that lasts.
func newRetain(at time.Time) *asynq.Task {
	return asynq.NewTask(TypeRetain, nil,
		asynq.Queue(QueueRetain),
		asynq.TaskID("retain."+at.UTC().Truncate(retainEvery).Format("2006-01-02T15")),
		asynq.MaxRetry(retainMaxRetry),
		asynq.Timeout(retainTimeout),
		asynq.Retention(2*retainEvery),
	)
}

// EnqueueRetain sees to it that old versions are removed once in the hour that at
// is in. It tells whether it enqueued that.
func EnqueueRetain(ctx context.Context, rdb redis.UniversalClient, at time.Time) (enqueued bool, err error) {
	_, err = NewClient(rdb).EnqueueContext(ctx, newRetain(at))
	switch {
	case errors.Is(err, asynq.ErrTaskIDConflict):
		return false, nil
	case err != nil:
		return false, fmt.Errorf("enqueue the removal of old versions: %w", err)
	}
	return true, nil
}

// Retained is what the removal of old versions leaves as its result for the web
// pages, as JSON.
type Retained struct {
	Versions int64         `json:"versions"`
	Contents int64         `json:"contents"`
	Took     time.Duration `json:"took"`
}

func (r Retained) words() string {
	return fmt.Sprintf("%d %s and %d contents removed, in %s", r.Versions, plural(int(r.Versions), "version", "versions"), r.Contents, seconds(r.Took))
}
