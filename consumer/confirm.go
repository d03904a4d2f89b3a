package consumer

import (
	"context"
	"slices"

	"regmend/shared/gitlab"
	"regmend/shared/postgres"
	"regmend/shared/tasks"
)

// callConfirms enqueues second looks at those of results that are first ones and
// were written. They are to be out of the stash, where they count as done. What
// cannot be enqueued, or is lost later, the producer's next lap finds.
func (c *Consumer) callConfirms(ctx context.Context, state postgres.State, results []gitlab.Result) {
	var looks []gitlab.Result
	for _, r := range results {
		if r.Status == gitlab.Looked {
			looks = append(looks, r)
		}
	}
	c.confirm(ctx, state, looks)
}

// confirm enqueues second looks at the projects of looks.
func (c *Consumer) confirm(ctx context.Context, state postgres.State, looks []gitlab.Result) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), boardTimeout)
	defer cancel()
	client := tasks.NewClient(c.rdb)
	for part := range slices.Chunk(looks, state.Settings.BatchSize) {
		scan := tasks.Scan{Run: state.Run.ID, After: part[0].Scan - 1}
		for _, r := range part {
			scan.IDs = append(scan.IDs, r.Project.ID)
			scan.After = min(scan.After, r.Scan-1)
		}
		if err := tasks.EnqueueConfirm(ctx, client, scan, state.Settings.ConfirmAfter); err != nil {
			c.log.WithError(err).WithField("projects", len(scan.IDs)).
				Warn("second looks could not be enqueued; the producer's next lap finds their projects")
			return
		}
	}
}
