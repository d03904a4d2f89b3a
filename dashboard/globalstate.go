package dashboard

import (
	"context"
	"time"

	"github.com/hibiken/asynq"
	"github.com/prometheus/client_golang/prometheus"
)

// holdKinds are the reasons for which everyone may hold.
var holdKinds = [...]string{"registry", "witness", "run", "postgres"}

// globalState collects what is true of regmend as a whole. It counts nothing:
// the projects' numbers are the leading producer's last count. What cannot be
// read is left out, and regmend_part_up says so.
type globalState struct {
	reader *reader
}

func newGlobalState(r *reader) *globalState { return &globalState{reader: r} }

func describe(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc("regmend_"+name, help, labels, nil)
}

var (
	partUp = describe("part_up", "Whether a part could be read (1) or not (0).", "part")

	runID          = describe("run", "The current run; 0 before the first.")
	scanEnabled    = describe("scan_enabled", "Whether the feature flag is on.")
	maxConcurrency = describe("max_concurrency", "How many scans may run at once, over all consumers.")

	projects            = describe("projects", "Projects by state, as the leading producer last counted them.", "state")
	missingRepositories = describe("missing_repositories", "Repositories the registry lists and GitLab has lost, as last counted.")
	projectsWithMissing = describe("projects_with_missing", "Projects with missing repositories, as last counted.")
	countersAge         = describe("counters_age_seconds", "How long ago the projects were last counted.")

	queueTasks     = describe("queue_tasks", "Tasks in a queue by state.", "queue", "state")
	queuePaused    = describe("queue_paused", "Whether a queue is paused.", "queue")
	queueLatency   = describe("queue_latency_seconds", "How long the oldest pending task of a queue has waited.", "queue")
	slotsInUse     = describe("slots_in_use", "Slots held at this moment, over all consumers.")
	stashResults   = describe("stash_results", "Results waiting in Redis for a flush.")
	stashBytes     = describe("stash_bytes", "What the results waiting in Redis occupy.")
	stashAge       = describe("stash_age_seconds", "How long the oldest stashed result has waited for a flush.")
	scannedTotal   = describe("scanned_projects_total", "Results stashed since Redis knows.")
	liveProcesses  = describe("processes", "Live processes by kind.", "kind")
	holding        = describe("holding", "Whether scanning waits for that reason.", "kind")
	witnessSampled = describe("witness_sampled", "Known repositories the witness last looked for in the registry.")
	witnessFound   = describe("witness_found", "Known repositories the witness last found in the registry.")
	witnessAge     = describe("witness_age_seconds", "How long ago the witness last looked.")
)

// Describe implements prometheus.Collector.
func (g *globalState) Describe(descs chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{
		partUp, runID, scanEnabled, maxConcurrency,
		projects, missingRepositories, projectsWithMissing, countersAge,
		queueTasks, queuePaused, queueLatency, slotsInUse, stashResults, stashBytes, stashAge,
		scannedTotal, liveProcesses, holding, witnessSampled, witnessFound, witnessAge,
	} {
		descs <- d
	}
}

// Collect implements prometheus.Collector.
func (g *globalState) Collect(metrics chan<- prometheus.Metric) {
	s := g.reader.read(context.Background())
	out := gauges(metrics)
	out.flag(partUp, s.postgresErr == nil, "postgres")
	out.flag(partUp, s.redisErr == nil, "redis")
	if s.postgresErr == nil {
		out.set(runID, float64(s.state.Run.ID))
		out.flag(scanEnabled, s.state.Settings.ScanEnabled)
		out.set(maxConcurrency, float64(s.state.Settings.MaxConcurrency))
	}
	if s.redisErr == nil {
		out.counters(s)
		out.queues(s)
		out.work(s)
		out.notices(s)
	}
}

// gauges is where the metrics of one scrape go.
type gauges chan<- prometheus.Metric

func (g gauges) set(d *prometheus.Desc, value float64, labels ...string) {
	g <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, value, labels...)
}

func (g gauges) flag(d *prometheus.Desc, on bool, labels ...string) {
	value := 0.0
	if on {
		value = 1
	}
	g.set(d, value, labels...)
}

func (g gauges) counters(s snapshot) {
	c := s.counters
	if c == nil {
		return
	}
	g.set(projects, float64(c.Completed), "completed")
	g.set(projects, float64(c.Failed), "failed")
	g.set(projects, float64(c.Pending), "pending")
	g.set(projects, float64(c.Projects-c.Eligible), "ineligible")
	g.set(missingRepositories, float64(c.MissingTotal))
	g.set(projectsWithMissing, float64(c.ProjectsWithMissing))
	g.set(countersAge, age(s.at, c.At).Seconds())
}

func (g gauges) queues(s snapshot) {
	for _, q := range s.queues {
		for _, tasks := range []struct {
			state  asynq.TaskState
			number int
		}{
			{asynq.TaskStatePending, q.Pending},
			{asynq.TaskStateActive, q.Active},
			{asynq.TaskStateScheduled, q.Scheduled},
			{asynq.TaskStateRetry, q.Retry},
			{asynq.TaskStateArchived, q.Archived},
			{asynq.TaskStateCompleted, q.Completed},
		} {
			g.set(queueTasks, float64(tasks.number), q.Queue, tasks.state.String())
		}
		g.flag(queuePaused, q.Paused, q.Queue)
		g.set(queueLatency, q.Latency.Seconds(), q.Queue)
	}
}

func (g gauges) work(s snapshot) {
	g.set(slotsInUse, float64(s.slots))
	g.set(stashResults, float64(s.stash.Entries))
	g.set(stashBytes, float64(s.stash.Bytes))
	g.set(stashAge, s.stash.Age.Seconds())
	g <- prometheus.MustNewConstMetric(scannedTotal, prometheus.CounterValue, float64(s.scanned))
	for kind, number := range kinds(s.processes) {
		g.set(liveProcesses, float64(number), kind)
	}
}

func (g gauges) notices(s snapshot) {
	for _, kind := range holdKinds {
		g.flag(holding, s.hold != nil && s.hold.Kind == kind, kind)
	}
	if w := s.witness; w != nil {
		g.set(witnessSampled, float64(w.Sampled))
		g.set(witnessFound, float64(w.Found))
		g.set(witnessAge, age(s.at, w.At).Seconds())
	}
}

// age is how long ago something was noted, by a clock that may run ahead of ours.
func age(now, then time.Time) time.Duration { return max(0, now.Sub(then)) }

// kinds counts processes by kind.
func kinds(processes []string) map[string]int {
	return map[string]int{"consumer": len(processes)}
}
