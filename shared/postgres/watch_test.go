package postgres_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"regmend/shared/postgres"
	"regmend/shared/postgres/postgrestest"

	"github.com/sirupsen/logrus/hooks/test"
)

// watch runs a watch of database until the test ends.
func watch(t *testing.T, database string) *postgres.Watch {
	t.Helper()
	log, _ := test.NewNullLogger()
	w := postgres.NewWatch(postgrestest.Open(t, database), log)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error)
	go func() { done <- w.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Run() = %v", err)
		}
	})
	return w
}

// next waits for a change for which cond holds, and says how long it took.
func next(t *testing.T, w *postgres.Watch, what string, cond func(postgres.State, error) bool) time.Duration {
	t.Helper()
	began := time.Now()
	timeout := time.After(10 * time.Second)
	for {
		changed := w.Changed()
		if cond(w.Now()) {
			return time.Since(began)
		}
		select {
		case <-changed:
		case <-timeout:
			t.Fatalf("waited 10 s for %s", what)
		}
	}
}

func fresh(_ postgres.State, err error) bool { return err == nil }

func TestP13_WatchTellsAChangeWithinTwoSeconds(t *testing.T) {
	db := postgrestest.New(t)
	w := watch(t, db.URL)
	next(t, w, "the first state", fresh)
	for _, value := range []string{"true", "false"} {
		if _, err := db.DB.Set(t.Context(), "scan_enabled", value, "a test"); err != nil {
			t.Fatal(err)
		}
		took := next(t, w, "the flag", func(s postgres.State, err error) bool {
			return err == nil && s.Settings.ScanEnabled == (value == "true")
		})
		if took > 2*time.Second {
			t.Errorf("the flag was known after %v", took)
		}
	}
}

func TestWatchOfADatabaseThatGoesAndComes(t *testing.T) {
	db := postgrestest.New(t)
	proxy, url := proxied(t, db.URL)
	w := watch(t, url)
	if _, err := w.Now(); !errors.Is(err, postgres.ErrStale) {
		t.Errorf("Now() before the first read = %v, want ErrStale", err)
	}
	next(t, w, "the first state", fresh)
	proxy.Refuse()
	began := time.Now()
	next(t, w, "staleness", func(_ postgres.State, err error) bool { return errors.Is(err, postgres.ErrStale) })
	if took := time.Since(began); took > 1700*time.Millisecond {
		t.Errorf("stale after %v, want 1.5 s", took)
	}
	if _, err := w.Now(); !strings.HasPrefix(err.Error(), postgres.ErrStale.Error()+": ") {
		t.Errorf("Now() = %v, want the reason as well", err)
	}
	proxy.Pass()
	next(t, w, "the state to come back", fresh)
}

func TestWatchDoesNotWakeAnyoneForScanNumbers(t *testing.T) {
	db := postgrestest.New(t)
	run := db.Run(t)
	w := watch(t, db.URL)
	next(t, w, "the first state", fresh)
	changed := w.Changed()
	if _, err := db.DB.Load(t.Context(), run, 0, nil, 0); err != nil {
		t.Fatal(err)
	}
	until(t, "the scan number", func() bool { s, err := w.Now(); return err == nil && s.Scan > run.Scan })
	select {
	case <-changed:
		t.Error("Changed() was closed for a scan number")
	default:
	}
}
