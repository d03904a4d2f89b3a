package dashboard

import (
	"cmp"
	"context"
	"slices"
	"time"

	"regmend/shared/board"
	"regmend/shared/claims"

	"github.com/hibiken/asynq"
	"github.com/prometheus/client_golang/prometheus"
)

// globalState collects what is true of regmend as a whole. It counts nothing:
// the projects' numbers are the leading producer's last count. What cannot be
// read is left out, and regmend_part_up says so.
type globalState struct {
	reader *reader
}

// Describe implements prometheus.Collector. It names nothing: which metrics
// there are depends on what can be read.
func (globalState) Describe(chan<- *prometheus.Desc) {}

// Collect implements prometheus.Collector.
func (g globalState) Collect(metrics chan<- prometheus.Metric) {
	s := g.reader.read(context.Background())
	out := scrape(metrics)
	out.flag("part_up", "Whether a part can be read.", s.postgresErr == nil, label{"part", "postgres"})
	out.flag("part_up", "Whether a part can be read.", s.redisErr == nil, label{"part", "redis"})
	if s.postgresErr == nil {
		out.settings(s)
		out.sweep(s.sweep)
	}
	if s.redisErr == nil {
		out.counters(s)
		out.queues(s)
		out.work(s)
		out.notices(s)
	}
}

// scrape is where the metrics of one scrape go.
type scrape chan<- prometheus.Metric

type label struct{ name, value string }

func (out scrape) settings(s snapshot) {
	out.gauge("run", "ID of the current run, 0 before the first.", float64(s.state.Run.ID))
	out.flag("scan_enabled", "Whether the feature flag is on.", s.state.Settings.ScanEnabled)
	out.gauge("max_concurrency", "How many scans may run at once, over all consumers.", float64(s.state.Settings.MaxConcurrency))
	out.kindness(s)
}

func (out scrape) counters(s snapshot) {
	c := s.counters
	if c == nil {
		return
	}
	for state, number := range map[string]int64{
		"completed": c.Completed, "failed": c.Failed, "pending": c.Pending, "ineligible": c.Projects - c.Eligible,
	} {
		out.gauge("projects", "Projects by state, as the leading producer last counted them.", float64(number), label{"state", state})
	}
	out.gauge("missing_repositories", "Repositories that the registry lists and GitLab has lost, as last counted.", float64(c.MissingTotal))
	out.gauge("projects_with_missing", "Projects that have missing repositories, as last counted.", float64(c.ProjectsWithMissing))
	out.seconds("counters_age_seconds", "Time since the leading producer last counted.", age(s.at, c.At))
}

func (out scrape) queues(s snapshot) {
	for _, q := range s.queues {
		queue := label{"queue", q.Queue}
		for state, number := range map[asynq.TaskState]int{
			asynq.TaskStatePending:   q.Pending,
			asynq.TaskStateActive:    q.Active,
			asynq.TaskStateScheduled: q.Scheduled,
			asynq.TaskStateRetry:     q.Retry,
			asynq.TaskStateArchived:  q.Archived,
			asynq.TaskStateCompleted: q.Completed,
		} {
			out.gauge("queue_tasks", "Tasks of a queue by state.", float64(number), queue, label{"state", state.String()})
		}
		out.flag("queue_paused", "Whether a queue is paused.", q.Paused, queue)
		out.seconds("queue_latency_seconds", "How long the oldest pending task of a queue has waited.", q.Latency, queue)
	}
}

func (out scrape) work(s snapshot) {
	out.gauge("slots_in_use", "Slots held now, over all consumers.", float64(s.slots))
	out.gauge("stash_results", "Results that wait in Redis for a flush.", float64(s.stash.Entries))
	out.gauge("stash_bytes", "Size of the results that wait in Redis.", float64(s.stash.Bytes))
	out.seconds("stash_age_seconds", "How long the oldest stashed result has waited for a flush.", s.stash.Age)
	out.metric("scanned_projects_total", "Results stashed since Redis knows.", prometheus.CounterValue, float64(s.scanned))
	for kind, number := range kinds(s.processes) {
		out.gauge("processes", "Live processes by kind.", float64(number), label{"kind", kind})
	}
}

func (out scrape) notices(s snapshot) {
	for _, kind := range [...]string{board.HoldRun, board.HoldPostgres, board.HoldRegistry, board.HoldCatalog, board.HoldWitness, board.HoldShrunk} {
		holds := slices.ContainsFunc(s.holds, func(h board.Hold) bool { return h.Kind == kind })
		out.flag("holding", "Whether scanning waits, for that kind of reason.", holds, label{"kind", kind})
	}
	if w := s.witness; w != nil {
		out.gauge("witness_sampled", "Known repositories that the witness last looked for in the registry.", float64(w.Sampled))
		out.gauge("witness_found", "Known repositories that the witness last found in the registry.", float64(w.Found))
		out.seconds("witness_age_seconds", "Time since the witness last looked.", age(s.at, w.At))
	}
}

func (out scrape) flag(name, help string, on bool, labels ...label) {
	value := 0.0
	if on {
		value = 1
	}
	out.gauge(name, help, value, labels...)
}

func (out scrape) seconds(name, help string, d time.Duration, labels ...label) {
	out.gauge(name, help, d.Seconds(), labels...)
}

func (out scrape) gauge(name, help string, value float64, labels ...label) {
	out.metric(name, help, prometheus.GaugeValue, value, labels...)
}

func (out scrape) metric(name, help string, kind prometheus.ValueType, value float64, labels ...label) {
	var names, values []string
	for _, l := range labels {
		names, values = append(names, l.name), append(values, l.value)
	}
	desc := prometheus.NewDesc("regmend_"+name, help, names, nil)
	out <- prometheus.MustNewConstMetric(desc, kind, value, values...)
}

// age is how long ago something was noted, by a clock that may run ahead of ours.
func age(now, then time.Time) time.Duration { return max(0, now.Sub(then)) }

// kinds counts processes by kind; the two that must be there always appear.
func kinds(processes []claims.Process) map[string]int {
	counts := map[string]int{"consumer": 0, "producer": 0}
	for _, p := range processes {
		counts[cmp.Or(p.Kind, "unknown")]++
	}
	return counts
}
