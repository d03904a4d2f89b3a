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
	Slots     int           // max_concurrency, or less if the work cannot use that
	Left      int           // as many of them the brake found out that the registry bears; 0: nothing is known
	PerSecond int           // 0: as many as the slots allow
	Hours     string        // "": always
}

// usedRate is how much of requests_per_second is used where there is work: the
// rest sees to it that no second has more.
const usedRate = 0.9

// takes is how long the work takes with so many slots; negative: for ever.
func (p price) takes(slots int) time.Duration {
	if slots < 1 {
		return -1
	}
	seconds := float64(p.Requests) * p.Latency.Seconds() / float64(slots)
	if p.PerSecond > 0 {
		seconds = max(seconds, float64(p.Requests)/(usedRate*float64(p.PerSecond)))
	}
	return time.Duration(min(seconds, math.MaxInt64/float64(2*time.Second)) * float64(time.Second))
}

// print tells the price before it is paid.
func (p price) print(out io.Writer) {
	line := func(subject, format string, args ...any) {
		fmt.Fprintf(out, "%-16s  %s\n", subject, fmt.Sprintf(format, args...))
	}
	projects := thousands(p.Projects) + " projects"
	if p.Projects == 1 {
		projects = "1 project"
	}
	line("requests", "at least %s, for %s", thousands(p.Requests), projects)
	line("a request takes", "%s, as measured now", p.Latency)
	line("allowed", "%s", p.pace())
	line("estimated time", "%s", estimated(p.takes(p.Slots)))
	if slower := estimated(p.takes(p.Left)); p.Left > 0 && slower != estimated(p.takes(p.Slots)) {
		line("with the brake", "%s, as it leaves %s now", slower, counted(p.Left, "slot", "slots"))
	}
}

// pace is what is allowed.
func (p price) pace() string {
	pace := counted(p.Slots, "request", "requests") + " at once"
	if p.PerSecond > 0 {
		pace += fmt.Sprintf(", at most %d a second", p.PerSecond)
	}
	if p.Hours != "" {
		pace += ", within " + p.Hours + " only"
	}
	return pace
}

func estimated(d time.Duration) string {
	if d < 0 {
		return "for ever: max_concurrency is 0"
	}
	return "about " + timeLeft(1, 1/max(d.Seconds(), 1))
}

// rates are those of the state, as far as they are not the work's own.
func rates(state postgres.State) price {
	s := state.Settings
	p := price{Slots: s.MaxConcurrency, PerSecond: s.PerSecond, Hours: s.ActiveHours.String()}
	if s.Brake && state.Brake.ID != 0 && state.Brake.Run == state.Run.ID {
		p.Left = min(p.Slots, state.Brake.Slots)
	}
	return p
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
		_, err := survey.List(ctx, p, func([]gitlab.Repository) error { return errSeen })
		if err != nil && !errors.Is(err, errSeen) {
			return err
		}
	}
	return nil
}
