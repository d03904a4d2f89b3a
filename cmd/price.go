package cmd

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"slices"
	"sync"
	"time"

	"regmend/shared/gitlab"
	"regmend/shared/postgres"
	"regmend/shared/registry"
)

// price is what some work asks of the registry, and what decides how long that
// takes.
type price struct {
	Projects  int64
	Requests  int64         // at least
	Latency   time.Duration // of one, as measured now
	Slots     int           // in use at once
	PerSecond int           // 0: as many as the slots allow
}

// usedRate is how much of requests_per_second is used where there is work: the
// rest sees to it that no second has more.
const usedRate = 0.9

// takes is how long the work takes; negative: for ever.
func (p price) takes() time.Duration {
	if p.Slots < 1 {
		return -1
	}
	seconds := float64(p.Requests) * p.Latency.Seconds() / float64(p.Slots)
	if p.PerSecond > 0 {
		seconds = max(seconds, float64(p.Requests)/(usedRate*float64(p.PerSecond)))
	}
	return time.Duration(min(seconds, math.MaxInt64/float64(2*time.Second)) * float64(time.Second))
}

// print tells the price before it is paid.
func (p price) print(out io.Writer) {
	pace := fmt.Sprintf("%s at once", counted(p.Slots, "request", "requests"))
	if p.PerSecond > 0 {
		pace += fmt.Sprintf(", at most %d a second", p.PerSecond)
	}
	fmt.Fprintf(out, "%-16s  at least %s, for %s\n", "requests", thousands(p.Requests), counted(int(p.Projects), "project", "projects"))
	fmt.Fprintf(out, "%-16s  %s, as measured now\n", "a request takes", p.Latency)
	fmt.Fprintf(out, "%-16s  %s\n", "allowed", pace)
	fmt.Fprintf(out, "%-16s  %s\n", "estimated time", estimated(p.takes()))
}

func estimated(d time.Duration) string {
	if d < 0 {
		return "for ever: max_concurrency is 0"
	}
	return "about " + timeLeft(1, 1/max(d.Seconds(), 1))
}

// rates are those of the state, as far as they are not the work's own.
func rates(state postgres.State) price {
	return price{Slots: state.Slots(), PerSecond: state.Settings.PerSecond}
}

// meter is a client of the registry that measures its answers.
type meter struct {
	*registry.Client

	mu   sync.Mutex
	took []time.Duration
}

// meter makes one; tune changes nothing else.
func (x *parts) meter() (*meter, error) {
	m := &meter{}
	reg, err := x.registry(func(c *registry.Config) { c.Observe = m.observe })
	m.Client = reg
	return m, err
}

func (m *meter) observe(a registry.Answered) {
	if a.Status != http.StatusOK && a.Status != http.StatusNotFound {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.took = append(m.took, a.Took)
}

// latency is the median of what was measured since the last time.
func (m *meter) latency() time.Duration {
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.took) == 0 {
		return 0
	}
	slices.Sort(m.took)
	median := m.took[len(m.took)/2]
	m.took = nil
	return median.Round(100 * time.Microsecond)
}

// measured is how many projects are listed to see how long that takes.
const measured = 5

// errSeen ends a listing of which one page is enough.
var errSeen = errors.New("seen")

// measure lists the first page of some projects, one after the other.
func (m *meter) measure(ctx context.Context, projects []gitlab.Project) error {
	projects = projects[:min(len(projects), measured)]
	survey, err := m.Survey(ctx, projects)
	if err != nil {
		return err
	}
	m.latency() // what was asked before is of another kind
	for _, p := range projects {
		_, err := survey.List(ctx, p, func([]string) error { return errSeen })
		if err != nil && !errors.Is(err, errSeen) {
			return err
		}
	}
	return nil
}
