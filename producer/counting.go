package producer

import (
	"context"
	"sync"
	"time"

	"regmend/shared/board"
)

const (
	// countEvery is the least pause between two counts, and countShare how many
	// times as long as a count took the pause is at least.
	countEvery, countShare = 15 * time.Second, 20
)

// counting counts the projects by state for pages and metrics, beside the
// leader's work: at ten million projects a count takes seconds.
type counting struct {
	*Producer

	running sync.Mutex
	group   sync.WaitGroup
	next    time.Time // guarded by running
}

func newCounting(p *Producer) *counting { return &counting{Producer: p} }

// start counts in the background if it is time to and no count runs.
func (c *counting) start(ctx context.Context) {
	if !c.running.TryLock() {
		return
	}
	if time.Now().Before(c.next) {
		c.running.Unlock()
		return
	}
	c.group.Go(func() {
		defer c.running.Unlock()
		began := time.Now()
		if err := c.count(ctx); err != nil && ctx.Err() == nil {
			c.log.WithError(err).Warn("the projects could not be counted")
		}
		c.next = time.Now().Add(max(countEvery, countShare*time.Since(began)))
	})
}

// wait returns when no count runs any more.
func (c *counting) wait() { c.group.Wait() }

func (c *counting) count(ctx context.Context) error {
	state, err := c.watch.Now()
	if err != nil || state.Run.ID == 0 {
		return err
	}
	counts, err := c.db.Counts(ctx, state.Run)
	if err != nil {
		return err
	}
	return c.board.SetCounters(ctx, board.Counters{
		Run:                 state.Run.ID,
		Projects:            counts.Projects,
		Eligible:            counts.Eligible,
		Completed:           counts.Completed,
		Failed:              counts.Failed,
		Pending:             counts.Pending,
		Looked:              counts.Looked,
		MissingTotal:        counts.MissingTotal,
		ProjectsWithMissing: counts.ProjectsWithMissing,
		At:                  time.Now(),
	})
}
