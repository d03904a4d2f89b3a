package consumer

import (
	"context"
	"errors"
	"slices"

	"regmend/shared/jwtauth"
	"regmend/shared/postgres"
	"regmend/shared/tasks"
)

// askedAhead is how many items are looked for in the registry before their rows are
// inserted: few, so that little can happen in between.
const askedAhead = 10

// apply restores what is open of the items.
func (r *repair) apply(ctx context.Context, state postgres.State, items []postgres.Item) error {
	open := slices.DeleteFunc(slices.Clone(items), func(i postgres.Item) bool { return i.State != postgres.ItemOpen })
	for few := range slices.Chunk(open, askedAhead) {
		tagged, err := r.tagged(ctx, state, few)
		if err != nil {
			return err
		}
		for _, item := range tagged {
			if err := r.restore(ctx, item); err != nil {
				return err
			}
		}
	}
	return nil
}

// tagged returns the items that the registry has tags of. The others are decided.
func (r *repair) tagged(ctx context.Context, state postgres.State, items []postgres.Item) (tagged []postgres.Item, err error) {
	err = r.underSlot(ctx, func(ctx context.Context) error {
		for _, item := range items {
			found, err := r.registry.Tagged(ctx, item.Path())
			switch {
			case err != nil:
				if err := r.blamed(ctx, state, item.Project, err); err != nil {
					return err
				}
				err = r.leave(ctx, item, postgres.ItemFailed, err.Error())
			case found:
				tagged = append(tagged, item)
			default:
				err = r.leave(ctx, item, postgres.ItemSkipped, "the registry has no tag of it any more")
			}
			if err != nil {
				return err
			}
		}
		return nil
	})
	return tagged, err
}

// restore gets one item its row.
func (r *repair) restore(ctx context.Context, item postgres.Item) error {
	var d postgres.Decided
	var err error
	if r.order.Via == postgres.ViaGitLab {
		d, err = r.askGitLab(ctx, item)
	} else {
		d, err = r.db.Restore(ctx, r.run, r.order, item.Number)
	}
	if ctx.Err() == nil && postgres.Refused(err) {
		return r.leave(ctx, item, postgres.ItemFailed, err.Error())
	}
	if err != nil {
		return dbOr(ctx, err)
	}
	r.decided(item, d)
	return nil
}

// askGitLab makes GitLab make the row, and journals it.
func (r *repair) askGitLab(ctx context.Context, item postgres.Item) (d postgres.Decided, err error) {
	if r.cfg.GitLab == nil {
		return d, &postgres.CannotRepairError{Reason: "consumer " + r.cfg.Process + " has no credentials for GitLab: set REGMEND_GITLAB_URL, _USERNAME and _PASSWORD for every consumer"}
	}
	asked, err := r.db.Ask(ctx, r.run, r.order, item.Number)
	if err != nil || asked.State != postgres.ItemOpen {
		return asked.Decided, err
	}
	err = r.cfg.GitLab.AuthorizePush(ctx, item.Path())
	var answer *jwtauth.Error
	switch {
	case ctx.Err() != nil:
		return d, context.Cause(ctx)
	case errors.As(err, &answer) && answer.Outage():
		pause(ctx, min(answer.RetryAfter, longestPause))
		return d, err
	case errors.As(err, &answer) && answer.Refused():
		return d, &postgres.CannotRepairError{Reason: err.Error()}
	case err != nil:
		return postgres.Decided{State: postgres.ItemFailed, Reason: err.Error()},
			r.db.Leave(ctx, r.order, item.Number, postgres.ItemFailed, err.Error())
	}
	return r.db.Found(ctx, r.run, r.order, item.Number, asked.At)
}

// dbOr is err as the database's where waiting for it helps, and else as it is.
func dbOr(ctx context.Context, err error) error {
	if ctx.Err() == nil && postgres.Away(err) {
		return databaseError{err}
	}
	return err
}

// verify looks at what was applied once more: whether its row is there, its path
// the same, and the registry still lists it. Then the projects are scanned.
func (r *repair) verify(ctx context.Context, state postgres.State) error {
	items, err := r.left(ctx, postgres.ItemApplied)
	if err != nil {
		return err
	}
	var numbers []int
	for _, item := range items {
		numbers = append(numbers, item.Number)
	}
	rows, err := r.db.There(ctx, r.order, numbers)
	if err != nil {
		return ours(ctx, err)
	}
	there := make(map[int]postgres.There, len(rows))
	for _, row := range rows {
		there[row.Number] = row
	}
	reasons := make([]string, 0, len(items))
	for few := range slices.Chunk(items, askedAhead) {
		err := r.underSlot(ctx, func(ctx context.Context) error {
			for _, item := range few {
				reason, err := r.verified(ctx, state, item, there[item.Number])
				if err != nil {
					return err
				}
				reasons = append(reasons, reason)
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return r.rescan(ctx, items, reasons)
}

// left are the items of the task that are in that state and were not looked at
// again yet.
func (r *repair) left(ctx context.Context, state postgres.ItemState) ([]postgres.Item, error) {
	_, items, err := r.db.Work(ctx, r.task.Plan, r.task.Order, r.span())
	if err != nil {
		return nil, dbOr(ctx, err)
	}
	return slices.DeleteFunc(items, func(i postgres.Item) bool { return i.State != state }), nil
}

// verified says what is wrong with a restored repository; "" if nothing is.
func (r *repair) verified(ctx context.Context, state postgres.State, item postgres.Item, there postgres.There) (reason string, err error) {
	switch {
	case !there.HasRow:
		return "its row was gone when it was looked for again", nil
	case !there.SamePath:
		return "its project was renamed while its row was inserted: the images are at the old path", nil
	}
	listed, err := r.registry.Holds(ctx, item.Path())
	switch {
	case err != nil:
		return "it could not be verified: " + err.Error(), r.blamed(ctx, state, item.Project, err)
	case !listed:
		return "the registry did not list it when it was looked for again", nil
	}
	return "", nil
}

// rescan notes that items were looked at again, and has their projects scanned, so
// that their counts are true again.
func (r *repair) rescan(ctx context.Context, items []postgres.Item, reasons []string) error {
	if len(items) == 0 {
		return nil
	}
	var numbers []int
	var ids []int64
	for i, item := range items {
		numbers, ids = append(numbers, item.Number), append(ids, item.Project.ID)
		if reasons[i] != "" {
			r.log.WithField("item", item.Number).WithField("path", item.Path()).WithField("reason", reasons[i]).
				Warn("repair: what was done is not as it should be")
		}
	}
	// Enqueued before it is noted: a process that dies in between does it again.
	now, err := r.db.State(ctx)
	if err != nil {
		return ours(ctx, err)
	}
	slices.Sort(ids)
	scan := tasks.Scan{Run: r.task.Run, IDs: slices.Compact(ids), After: now.Scan}
	if err := tasks.Enqueue(ctx, tasks.NewClient(r.rdb), tasks.QueueAdhoc, tasks.RescanBatch(r.task, now.Scan), scan); err != nil {
		return err
	}
	return dbOr(ctx, r.db.Verified(ctx, r.order, now.Scan, numbers, reasons))
}
