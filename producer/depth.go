package producer

import (
	"math"
	"time"

	"regmend/shared/postgres"
)

const (
	// mostTasks bounds what waits in Redis, at about 1.5 KB a task.
	mostTasks = 5_000
	// smoothing is the weight of the newest look in the rate.
	smoothing = 0.3
)

// depth is how many scan tasks should wait in the queue: a few minutes of work
// at the rate seen, and never fewer than the slots need to stay busy until the
// next look.
func depth(perMinute float64, s postgres.Settings) int {
	work := math.Ceil(perMinute * float64(s.QueueMinutes) / float64(s.BatchSize))
	least := 4*s.MaxConcurrency + 8
	return min(max(int(work), least), mostTasks)
}

// rate follows how many projects are scanned a minute, from a counter that
// falls to zero when Redis loses it.
type rate struct {
	count int64
	at    time.Time
	value float64
}

func (r *rate) observe(count int64, now time.Time) {
	elapsed := now.Sub(r.at).Minutes()
	if !r.at.IsZero() && elapsed > 0 && count >= r.count {
		seen := float64(count-r.count) / elapsed
		r.value += smoothing * (seen - r.value)
	}
	r.count, r.at = count, now
}

func (r *rate) perMinute() float64 { return r.value }
