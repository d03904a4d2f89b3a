package consumer

import (
	"context"
	"encoding/json"
	"time"

	"regmend/shared/tasks"

	"github.com/hibiken/asynq"
	"github.com/sirupsen/logrus"
)

// handleRetain is asynq's handler of a retain task: it removes old versions of
// what projects list. Begun again it begins at the first project, which costs
// little: what was removed is not there any more.
func (c *Consumer) handleRetain(ctx context.Context, t *asynq.Task) error {
	state, err := c.watch.Now()
	if err != nil {
		return err
	}
	var total tasks.Retained
	began := time.Now()
	for from, ended := int64(0), false; !ended; {
		if c.gate.stopped() {
			return errStopped
		}
		removed, err := c.db.Retain(ctx, state.Settings, from)
		if err != nil {
			return err
		}
		total.Versions += removed.Versions
		total.Contents += removed.Contents
		from, ended = removed.Next, removed.End
	}
	total.Took = time.Since(began)
	if total.Versions > 0 {
		c.log.WithFields(logrus.Fields{"versions": total.Versions, "contents": total.Contents}).Info("old versions removed")
	}
	result, err := json.Marshal(total)
	if err == nil {
		_, err = t.ResultWriter().Write(result)
	}
	if err != nil {
		c.log.WithError(err).Warn("the task's result could not be kept; what it did is done")
	}
	return nil
}
