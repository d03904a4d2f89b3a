package main_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"
)

// status is what regmend status --json says, by the names scripts rely on.
type status struct {
	Run                 int64   `json:"run"`
	Enabled             bool    `json:"enabled"`
	MaxConcurrency      int     `json:"max_concurrency"`
	Projects            int64   `json:"projects"`
	Eligible            int64   `json:"eligible"`
	Ineligible          int64   `json:"ineligible"`
	Completed           int64   `json:"completed"`
	Failed              int64   `json:"failed"`
	Pending             int64   `json:"pending"`
	Looked              int64   `json:"looked"`
	MissingTotal        int64   `json:"missing_total"`
	ProjectsWithMissing int64   `json:"projects_with_missing"`
	Stashed             *int    `json:"stashed"`
	QueuedTasks         *int    `json:"queued_tasks"`
	RunningScans        *int    `json:"running_scans"`
	Balanced            bool    `json:"balanced"`
	Holding             *string `json:"holding"`
	Sweep               *sweep  `json:"sweep"`
	RequestsPerSecond   int     `json:"requests_per_second"`
	Brake               any     `json:"brake"`
	ActiveHours         string  `json:"active_hours"`
	ResumesAt           *string `json:"resumes_at"`
}

// sweep is the run's last one.
type sweep struct {
	ID           int64      `json:"id"`
	State        string     `json:"state"`
	Reason       string     `json:"reason"`
	StartedBy    string     `json:"started_by"`
	StartedAt    time.Time  `json:"started_at"`
	EndedAt      *time.Time `json:"ended_at"`
	Projects     int64      `json:"projects"`
	Pages        int        `json:"pages"`
	Repositories int64      `json:"repositories"`
	Unowned      int64      `json:"unowned"`
	Candidates   int64      `json:"candidates"`
	Proven       int64      `json:"proven"`
}

// analysed tells whether every project has its result in Postgres.
func (s status) analysed() bool {
	return s.Pending == 0 && s.Stashed != nil && *s.Stashed == 0
}

func (s status) holdsFor(reason string) bool {
	return s.Holding != nil && strings.Contains(*s.Holding, reason)
}

// status asks regmend. It is an error while Postgres does not answer. Counts
// that do not add up are never to be seen.
func (in *installation) status() (status, error) {
	in.t.Helper()
	stdout, stderr, code := in.try("status", "--json")
	if stdout == "" {
		return status{}, fmt.Errorf("exit code %d: %s", code, stderr)
	}
	var s status
	known := json.NewDecoder(strings.NewReader(stdout))
	known.DisallowUnknownFields()
	if err := known.Decode(&s); err != nil {
		in.t.Fatalf("status --json: %v\n%s", err, stdout)
	}
	if !s.Balanced || s.Eligible != s.Completed+s.Failed+s.Pending || s.Projects != s.Eligible+s.Ineligible {
		in.t.Fatalf("the counts do not add up: %s", stdout)
	}
	return s, nil
}

// lookEvery is the pause between two looks at a condition.
const lookEvery = 200 * time.Millisecond

// await looks at the status until the condition holds.
func (in *installation) await(what string, within time.Duration, condition func(status) bool) status {
	in.t.Helper()
	var s status
	in.eventually(what, within, func() (bool, string) {
		var err error
		s, err = in.status()
		text, _ := json.Marshal(s)
		return err == nil && condition(s), fmt.Sprint(string(text), " ", err)
	})
	return s
}

// eventually looks until the condition holds. about says what was seen.
func (in *installation) eventually(what string, within time.Duration, condition func() (ok bool, about string)) {
	in.t.Helper()
	deadline := time.NewTimer(within)
	defer deadline.Stop()
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	for {
		ok, about := condition()
		if ok {
			return
		}
		select {
		case <-tick.C:
		case <-deadline.C:
			in.t.Fatalf("after %s still not: %s; seen last: %s", within, what, about)
		}
	}
}

// awaitPrinted waits until one of the processes has printed the text.
func (in *installation) awaitPrinted(text string, within time.Duration, processes ...*process) {
	in.t.Helper()
	in.eventually("somebody prints "+text, within, func() (bool, string) {
		for _, p := range processes {
			if strings.Contains(p.printed(), text) {
				return true, ""
			}
		}
		return false, ""
	})
}
