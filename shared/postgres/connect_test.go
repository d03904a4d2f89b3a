package postgres_test

import (
	"context"
	"testing"
	"time"

	"regmend/shared/postgres"
)

// A connection that is open and silent: the driver would wait for ever.
func TestP10_NoStatementOutlivesItsContext(t *testing.T) {
	s := newSuite(t, 1)
	for name, silence := range map[string]struct {
		limit time.Duration // the caller's; 0: none
		want  time.Duration // in which it has to be over
		do    func(context.Context, *postgres.DB) error
	}{
		"a statement": {500 * time.Millisecond, 5 * time.Second, func(ctx context.Context, db *postgres.DB) error {
			_, err := db.State(ctx)
			return err
		}},
		"a transaction": {500 * time.Millisecond, 5 * time.Second, func(ctx context.Context, db *postgres.DB) error {
			_, err := db.Counts(ctx, s.run)
			return err
		}},
		"a statement without a limit of the caller's": {0, 25 * time.Second, func(ctx context.Context, db *postgres.DB) error {
			_, err := db.WithoutRow(ctx, []postgres.Listed{{ProjectID: 1}})
			return err
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			between, url := proxied(t, s.URL)
			db, err := postgres.Open(url)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = db.Close() })
			if err := db.Ping(t.Context()); err != nil {
				t.Fatal(err)
			}
			between.Hang()
			t.Cleanup(between.Pass)
			ctx := t.Context()
			if silence.limit > 0 {
				limited, cancel := context.WithTimeout(ctx, silence.limit)
				defer cancel()
				ctx = limited
			}
			ended := make(chan error, 1)
			go func() { ended <- silence.do(ctx, db) }()
			select {
			case err := <-ended:
				if err == nil {
					t.Error("it came out well on a connection that is silent")
				}
			case <-time.After(silence.want):
				t.Fatalf("it goes on after %s", silence.want)
			}
			between.Pass()
			if err := db.Ping(t.Context()); err != nil {
				t.Errorf("afterwards: %v", err)
			}
		})
	}
}

// A server that is slow to answer a new connection does not hold up a caller who
// no longer waits.
func TestP10_ConnectingEndsWithItsContext(t *testing.T) {
	s := newSuite(t, 1)
	between, url := proxied(t, s.URL)
	between.Hang()
	t.Cleanup(between.Pass)
	db, err := postgres.Open(url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
	defer cancel()
	began := time.Now()
	if err := db.Ping(ctx); err == nil || time.Since(began) > 3*time.Second {
		t.Errorf("Ping() = %v after %s", err, time.Since(began))
	}
}
