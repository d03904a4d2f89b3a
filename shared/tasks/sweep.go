package tasks

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/hibiken/asynq"
	"github.com/redis/go-redis/v9"
)

// Sweep asks for a sweep to be carried on. What it is about and how far it is,
// the database knows.
type Sweep struct {
	// Run is the run that the sweep works for.
	Run int64 `json:"run"`
	// Sweep is its ID in the database.
	Sweep int64 `json:"sweep"`
}

// NewSweep makes the task that carries the sweep on as the batch b. Its ID is
// the batch, as a scan's is.
func NewSweep(b Batch, s Sweep) (*asynq.Task, error) {
	return newBatch(TypeSweep, QueueSweep, b, s)
}

// DecodeSweep reads a sweep's payload. It takes nothing but what NewSweep writes,
// byte for byte.
func DecodeSweep(payload []byte) (Sweep, error) {
	return decodeExactly[Sweep](payload, "sweep", `{"run":1,"sweep":2}`)
}

func (s Sweep) encode() ([]byte, error) {
	if s.Run < 1 || s.Sweep < 1 {
		return nil, fmt.Errorf("sweep payload: run %d or sweep %d is not positive", s.Run, s.Sweep)
	}
	return json.Marshal(s)
}

// mostGenerations bounds how many ended tasks of one sweep are looked past; they
// are retained for an hour, or archived.
const mostGenerations = 10_000

// EnqueueSweep sees to it that a task carries the sweep on: one that waits or
// runs will do, and one that has ended is followed by the next generation. It
// tells whether it enqueued one.
func EnqueueSweep(ctx context.Context, rdb redis.UniversalClient, s Sweep) (enqueued bool, err error) {
	defer illegible(&err)
	client := NewClient(rdb)
	for b := sweepBatch(s); b.Generation < mostGenerations; b = b.Next() {
		task, err := NewSweep(b, s)
		if err != nil {
			return false, err
		}
		enqueued, err := enqueue(ctx, client, b, task)
		if err != nil || enqueued {
			return enqueued, err
		}
		if ended, err := over(rdb, QueueSweep, b); err != nil || !ended {
			return false, err
		}
	}
	return false, fmt.Errorf("sweep %d was ended %d times by others", s.Sweep, mostGenerations)
}

// Swept is what a sweep task leaves as its result for the web pages, as JSON.
type Swept struct {
	// Pages of the catalog, and Repositories on them; Unowned of those belong to
	// no project. Proven counts the projects whose result the sweep wrote.
	Pages        int   `json:"pages"`
	Repositories int64 `json:"repositories"`
	Unowned      int64 `json:"unowned"`
	Proven       int64 `json:"proven"`
	// Note says why it ended otherwise than with results.
	Note string        `json:"note,omitempty"`
	Took time.Duration `json:"took"`
}

func (s Swept) words() string {
	if s.Pages == 0 && s.Note != "" {
		return s.Note
	}
	text := fmt.Sprintf("%d %s on %d %s, %d of them nobody's; %d %s completed, in %s",
		s.Repositories, plural(int(s.Repositories), "repository", "repositories"), s.Pages, plural(s.Pages, "page", "pages"),
		s.Unowned, s.Proven, plural(int(s.Proven), "project", "projects"), seconds(s.Took))
	if s.Note != "" {
		text += ": " + s.Note
	}
	return text
}
