package dashboard

import (
	"context"
	"errors"
	"io/fs"
	"net/http"
	"sync"
	"time"

	"regmend/shared/postgres"

	"github.com/redis/go-redis/v9"
	"github.com/sirupsen/logrus"
)

// readyWithin bounds a readiness check; probes commonly wait for one second
// only, so a slow answer is as bad as none.
const readyWithin = 5 * time.Second

// Sources are what the pages are read from. They stay their owner's.
type Sources struct {
	DB         *postgres.DB
	Migrations fs.FS // the schema DB must have
	Redis      redis.UniversalClient
}

// Unready says which part cannot be worked with, and why.
type Unready struct {
	Part string // redis or postgres
	Err  error
}

func (u *Unready) Error() string { return u.Part + ": " + u.Err.Error() }

// Unwrap returns the reason.
func (u *Unready) Unwrap() error { return u.Err }

// Ready returns nil, or an *Unready for the first part that is unreachable or
// whose schema is not this program's.
func (s Sources) Ready(ctx context.Context) error {
	if err := s.Redis.Ping(ctx).Err(); err != nil {
		return &Unready{Part: "redis", Err: err}
	}
	if err := s.DB.CheckSchema(ctx, s.Migrations); err != nil {
		return &Unready{Part: "postgres", Err: err}
	}
	return nil
}

// Health serves /healthz, /readyz and /metrics of a process without pages, with
// no login: it belongs on loopback or a closed network.
func Health(ready func(ctx context.Context) error, metrics http.Handler) http.Handler {
	routes := http.NewServeMux()
	routes.Handle("GET /healthz", alive())
	routes.Handle("GET /readyz", readiness(ready))
	routes.Handle("GET /metrics", metrics)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		secure(w.Header(), ownPolicy)
		routes.ServeHTTP(w, r)
	})
}

func alive() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { say(w, http.StatusOK, "ok") })
}

// readiness names the part that is not ready and keeps the reason to itself:
// anyone may ask, and errors name hosts and users.
func readiness(ready func(ctx context.Context) error) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithTimeout(r.Context(), readyWithin)
		defer cancel()
		var unready *Unready
		switch err := ready(ctx); {
		case err == nil:
			say(w, http.StatusOK, "ok")
		case errors.As(err, &unready):
			say(w, http.StatusServiceUnavailable, "not ready: "+unready.Part)
		default:
			say(w, http.StatusServiceUnavailable, "not ready")
		}
	})
}

func say(w http.ResponseWriter, status int, text string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.WriteHeader(status)
	_, _ = w.Write([]byte(text + "\n")) // who went away needs no answer
}

// sparing asks ready once a second at most, as anyone may ask without a login,
// and logs the reason, which the answer to the request does not tell.
func sparing(ready func(ctx context.Context) error, log logrus.FieldLogger) func(ctx context.Context) error {
	var (
		mu    sync.Mutex
		last  error
		asked time.Time
	)
	return func(ctx context.Context) error {
		mu.Lock()
		defer mu.Unlock()
		if time.Since(asked) < freshFor {
			return last
		}
		// Others wait for this answer: it does not end with the one who asked.
		last = bounded(context.WithoutCancel(ctx), ready)
		asked = time.Now()
		if last != nil {
			log.WithError(last).Warn("not ready")
		}
		return last
	}
}
