// Package dashboard is what regmend shows over HTTP: the overview, asynqmon's
// pages of the queues, health and metrics. It reads and hardly ever writes: only
// with Config.AllowWrites may asynqmon's pages change a queue.
package dashboard

import (
	"net/http"

	"github.com/sirupsen/logrus"
)

// Dashboard serves regmend's web pages. It is safe for concurrent use and owns
// no connection: what it was given to read from is closed by its owner.
type Dashboard struct {
	handler http.Handler
}

// New makes the pages, or says in one line why cfg must not be served.
//
//	/          the overview
//	/queues/   asynqmon
//	/metrics   for Prometheus, with the login like the pages
//	/healthz   the process is alive; no login
//	/readyz    Redis and Postgres can be worked with; no login
func New(src Sources, log logrus.FieldLogger, cfg Config) (*Dashboard, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	queues, err := newQueuePages(src.Redis, cfg.AllowWrites)
	if err != nil {
		return nil, err
	}
	reader := newReader(src)

	pages := http.NewServeMux()
	pages.Handle("GET /{$}", overview(reader, log, cfg))
	pages.Handle("GET /assets/{file}", assets())
	pages.Handle("GET /metrics", Metrics(globalState{reader}))
	pages.Handle(queuesRoot+"/", queues)

	routes := http.NewServeMux()
	routes.Handle("/", newGuard(cfg, log).protect(pages))
	routes.Handle("GET /healthz", alive())
	routes.Handle("GET /readyz", readiness(sparing(src.Ready, log)))
	return &Dashboard{handler: routes}, nil
}

// ServeHTTP implements http.Handler.
func (d *Dashboard) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	secure(w.Header(), ownPolicy)
	d.handler.ServeHTTP(w, r)
}
