package dashboard_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"regmend/dashboard"
	"regmend/schema"
	"regmend/shared/postgres/postgrestest"
	"regmend/shared/servers/redistest"
)

func TestReadyzNamesThePartAndKeepsTheReasonForTheLog(t *testing.T) {
	t.Run("redis is away", func(t *testing.T) {
		s := serve(t, dashboard.Config{})
		if got := get(t, s.url+"/readyz"); got.status != http.StatusOK {
			t.Fatalf("before: %d %s", got.status, got.body)
		}
		s.stopRedis(t)
		got := get(t, s.url+"/readyz")
		for deadline := time.Now().Add(10 * time.Second); got.status == http.StatusOK && time.Now().Before(deadline); {
			got = get(t, s.url+"/readyz") // an answer stands for a second
		}
		if got.status != http.StatusServiceUnavailable || got.body != "not ready: redis\n" {
			t.Errorf("readyz = %d %q", got.status, got.body)
		}
		if entry := s.log.LastEntry(); entry == nil || entry.Data["error"] == nil {
			t.Errorf("log entry = %v, want the reason", entry)
		}
		if got := get(t, s.url+"/healthz"); got.status != http.StatusOK {
			t.Errorf("healthz = %d: the process lives", got.status)
		}
	})
	t.Run("the schema is not there", func(t *testing.T) {
		src := dashboard.Sources{DB: postgrestest.Empty(t).DB, Migrations: schema.Migrations, Redis: redistest.New(t)}
		url, _ := start(t, src, dashboard.Config{Listen: "127.0.0.1:9780"})
		got := get(t, url+"/readyz")
		if got.status != http.StatusServiceUnavailable || got.body != "not ready: postgres\n" {
			t.Errorf("readyz = %d %q", got.status, got.body)
		}
	})
}

func TestReadyzIsAskedOnceASecondAtMost(t *testing.T) {
	s := serve(t, dashboard.Config{Username: "ops", Password: "secret"})
	s.mustBeSpared(t, "ping", func() { get(t, s.url+"/readyz") })
}

func TestReadyStopsAskingWithItsContext(t *testing.T) {
	src := dashboard.Sources{DB: postgrestest.New(t).DB, Migrations: schema.Migrations, Redis: redistest.New(t)}
	if err := src.Ready(t.Context()); err != nil {
		t.Errorf("Ready() = %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := src.Ready(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("Ready() = %v, want %v", err, context.Canceled)
	}
}

func TestHealthOfAProcessWithoutPages(t *testing.T) {
	reason := errors.New("no route to db.internal")
	metrics := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("regmend_x 1\n")) })
	for name, c := range map[string]struct {
		err    error
		status int
		body   string
	}{
		"ready":                    {nil, http.StatusOK, "ok\n"},
		"a part is not ready":      {&dashboard.Unready{Part: "postgres", Err: reason}, http.StatusServiceUnavailable, "not ready: postgres\n"},
		"not ready for any reason": {reason, http.StatusServiceUnavailable, "not ready\n"},
	} {
		t.Run(name, func(t *testing.T) {
			server := httptest.NewServer(dashboard.Health(func(context.Context) error { return c.err }, metrics))
			defer server.Close()
			if got := get(t, server.URL+"/readyz"); got.status != c.status || got.body != c.body {
				t.Errorf("readyz = %d %q, want %d %q", got.status, got.body, c.status, c.body)
			}
			if got := get(t, server.URL+"/healthz"); got.status != http.StatusOK {
				t.Errorf("healthz = %d", got.status)
			}
			if got := get(t, server.URL+"/metrics"); got.body != "regmend_x 1\n" {
				t.Errorf("metrics = %q", got.body)
			}
			if got := ask(t, http.MethodPost, server.URL+"/metrics"); got.status != http.StatusMethodNotAllowed {
				t.Errorf("POST metrics = %d", got.status)
			}
		})
	}
}
