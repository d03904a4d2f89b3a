package main

import (
	"fmt"
	"slices"
	"sync"
	"time"

	"regmend/shared/registry/registrytest"
)

// caps remembers which max_concurrency was in force when.
type caps struct {
	mu      sync.Mutex
	changes []capChange
}

// capChange is a command that set the cap: in force at some time between.
type capChange struct {
	asked, done time.Time
	cap         int
}

func (c *caps) changed(asked, done time.Time, limit int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.changes = append(c.changes, capChange{asked, done, limit})
}

// capGrace is how long a larger cap may still be seen in use (P12).
const capGrace = 2 * time.Second

// exceeded tells of the requests at whose start the registry had more in flight
// than the largest cap of the last two seconds. The question who the registry
// is does not count: operators' commands ask it too.
func (c *caps) exceeded(requests []request) []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	var over []string
	var open []time.Time // the ends of those in flight
	first := 0           // of the changes that can still be in force
	for _, r := range requests {
		if r.kind == registrytest.Ping || r.kind == registrytest.Probe {
			continue
		}
		open = slices.DeleteFunc(open, func(end time.Time) bool { return !end.IsZero() && !end.After(r.start) })
		open = append(open, r.end)
		for first+1 < len(c.changes) && c.changes[first+1].done.Add(capGrace).Before(r.start) {
			first++
		}
		if most := c.most(first, r.start); len(open) > most {
			over = append(over, fmt.Sprintf("%s %d requests in flight, the cap was %d: %s %s",
				r.start.Format("15:04:05.000"), len(open), most, r.kind, r.path))
		}
	}
	return over
}

// most is the largest cap in force at a time, of the changes from first on.
func (c *caps) most(first int, at time.Time) int {
	most := 0
	for _, change := range c.changes[first:] {
		if !change.asked.After(at) {
			most = max(most, change.cap)
		}
	}
	return most
}
