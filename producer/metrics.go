package producer

import "github.com/prometheus/client_golang/prometheus"

// Metrics counts what one producer process does.
type Metrics struct {
	leads    prometheus.Gauge
	target   prometheus.Gauge
	batches  prometheus.Counter
	projects prometheus.Counter
}

// NewMetrics makes metrics that count from zero.
func NewMetrics() *Metrics {
	return &Metrics{
		leads:    prometheus.NewGauge(prometheus.GaugeOpts{Name: "regmend_producer_leads", Help: "1 while this producer leads."}),
		target:   prometheus.NewGauge(prometheus.GaugeOpts{Name: "regmend_queue_target_tasks", Help: "Scan tasks the producer wants to wait in the queue."}),
		batches:  prometheus.NewCounter(prometheus.CounterOpts{Name: "regmend_batches_enqueued_total", Help: "Scan tasks enqueued by the producer."}),
		projects: prometheus.NewCounter(prometheus.CounterOpts{Name: "regmend_projects_enqueued_total", Help: "Projects in the scan tasks enqueued by the producer."}),
	}
}

// Collectors returns everything to be registered.
func (m *Metrics) Collectors() []prometheus.Collector {
	return []prometheus.Collector{m.leads, m.target, m.batches, m.projects}
}

func (m *Metrics) lead(leads bool) {
	m.leads.Set(0)
	if leads {
		m.leads.Set(1)
	}
}

func (m *Metrics) depth(tasks int) { m.target.Set(float64(tasks)) }

func (m *Metrics) enqueued(batches, projects int) {
	m.batches.Add(float64(batches))
	m.projects.Add(float64(projects))
}
