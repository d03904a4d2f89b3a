package consumer

import (
	"net/http"
	"strconv"
	"time"

	"regmend/shared/gitlab"
	"regmend/shared/registry"

	"github.com/prometheus/client_golang/prometheus"
)

// Metrics counts what one consumer process does.
type Metrics struct {
	scans    prometheus.Histogram
	results  *prometheus.CounterVec
	missing  prometheus.Counter
	answers  *prometheus.HistogramVec
	flushes  prometheus.Histogram
	flushed  prometheus.Histogram
	holdings *prometheus.CounterVec
	pages    prometheus.Counter
	proven   prometheus.Counter
	steps    *prometheus.CounterVec
	traffic  traffic

	answered prometheus.Observer // those of answers with status 200
}

// NewMetrics makes metrics that count from zero.
func NewMetrics() *Metrics {
	m := &Metrics{
		scans: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "regmend_scan_duration_seconds", Help: "Time to list one project, second looks included.",
			Buckets: prometheus.ExponentialBuckets(0.001, 4, 10),
		}),
		results: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "regmend_results_total", Help: "Results stashed, by status.",
		}, []string{"status"}),
		missing: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "regmend_missing_found_total", Help: "Missing repositories in the results stashed.",
		}),
		answers: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "regmend_registry_request_duration_seconds", Help: "Time to the registry's answer, by HTTP status; status 0: none came.",
			Buckets: prometheus.ExponentialBuckets(0.001, 4, 9),
		}, []string{"status"}),
		flushes: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "regmend_flush_duration_seconds", Help: "Time to write stashed results to Postgres and acknowledge them.",
			Buckets: prometheus.ExponentialBuckets(0.001, 4, 9),
		}),
		flushed: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "regmend_flush_results", Help: "Results in one flush.",
			Buckets: prometheus.ExponentialBuckets(1, 4, 8),
		}),
		holdings: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "regmend_holds_total", Help: "Times this process made scanning hold, by kind.",
		}, []string{"kind"}),
		pages: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "regmend_sweep_pages_total", Help: "Pages of the catalog that sweeps judged.",
		}),
		proven: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "regmend_sweep_results_total", Help: "Results that sweeps wrote.",
		}),
		steps: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "regmend_brake_steps_total", Help: "Steps of the brake that this process took for all, by cause.",
		}, []string{"cause"}),
	}
	m.answered = m.answers.WithLabelValues(strconv.Itoa(http.StatusOK))
	return m
}

// Collectors returns everything to be registered.
func (m *Metrics) Collectors() []prometheus.Collector {
	return []prometheus.Collector{m.scans, m.results, m.missing, m.answers, m.flushes, m.flushed, m.holdings, m.pages, m.proven, m.steps}
}

// Answer counts an answer of the registry, for the brake as well.
func (m *Metrics) Answer(a registry.Answered) {
	answers := m.answered
	if a.Status != http.StatusOK {
		answers = m.answers.WithLabelValues(strconv.Itoa(a.Status))
	}
	answers.Observe(a.Took.Seconds())
	m.traffic.answer(a)
}

func (m *Metrics) scan(took time.Duration) { m.scans.Observe(took.Seconds()) }

func (m *Metrics) result(r gitlab.Result) {
	m.results.WithLabelValues(string(r.Status)).Inc()
	if r.Status == gitlab.Completed {
		m.missing.Add(float64(len(r.Missing)))
	}
}

func (m *Metrics) flush(results int, took time.Duration) {
	m.flushes.Observe(took.Seconds())
	m.flushed.Observe(float64(results))
}

// swept counts what a step of a sweep did.
func (m *Metrics) swept(pages int, proven int64) {
	m.pages.Add(float64(max(0, pages)))
	m.proven.Add(float64(max(0, proven)))
}

func (m *Metrics) held(kind string) { m.holdings.WithLabelValues(kind).Inc() }

func (m *Metrics) braked(cause string) { m.steps.WithLabelValues(cause).Inc() }
