package consumer

import (
	"context"

	"regmend/shared/postgres"
)

// undo removes the rows of the items, asking the registry nothing.
func (r *repair) undo(ctx context.Context, items []postgres.Item) error {
	for _, item := range items {
		if item.State != postgres.ItemApplied {
			continue
		}
		d, err := r.db.Remove(ctx, r.run, r.order, item.Number)
		if err != nil {
			return dbOr(ctx, err)
		}
		r.decided(item, d)
	}
	undone, err := r.left(ctx, postgres.ItemUndone)
	if err != nil {
		return err
	}
	return r.rescan(ctx, undone, make([]string, len(undone)))
}
