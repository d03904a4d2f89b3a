package claims

import (
	"context"
	"fmt"
	"strconv"

	"github.com/redis/go-redis/v9"
)

// Mark notes that a scan of the project begins and returns how many scans of it
// ended with the death of their process before: those whose mark was not taken
// off. It is an upper bound, for a mark whose reply was lost counts twice.
func (c *Claims) Mark(ctx context.Context, projectID int64) (deaths int, err error) {
	var marks *redis.IntCmd
	_, err = c.rdb.TxPipelined(ctx, func(tx redis.Pipeliner) error {
		marks = tx.HIncrBy(ctx, marksKey(), strconv.FormatInt(projectID, 10), 1)
		tx.Expire(ctx, marksKey(), keyTTL)
		return nil
	})
	if err != nil {
		return 0, fmt.Errorf("mark project %d: %w", projectID, err)
	}
	return int(marks.Val()) - 1, nil
}

// Unmark takes all marks off the project: a scan of it has ended.
func (c *Claims) Unmark(ctx context.Context, projectID int64) error {
	if err := c.rdb.HDel(ctx, marksKey(), strconv.FormatInt(projectID, 10)).Err(); err != nil {
		return fmt.Errorf("unmark project %d: %w", projectID, err)
	}
	return nil
}
