package producer

import (
	"context"
	"time"

	"regmend/shared/tasks"
)

// retaining enqueues the removal of old versions, once an hour; of which hour,
// Redis knows too.
type retaining struct {
	*Producer

	enqueued time.Time // the hour
}

// due enqueues it if that was not done in this hour, whether scanning is enabled
// or not.
func (r *retaining) due(ctx context.Context) {
	hour := time.Now().Truncate(time.Hour)
	if hour.Equal(r.enqueued) {
		return
	}
	if state, err := r.watch.Now(); err != nil || state.Standby || state.Run.ID == 0 {
		return
	}
	if _, err := tasks.EnqueueRetain(ctx, r.rdb, hour); err != nil {
		if ctx.Err() == nil {
			r.log.WithError(err).Warn("old versions are removed later")
		}
		return
	}
	r.enqueued = hour
}
