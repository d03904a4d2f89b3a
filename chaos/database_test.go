package main

import (
	"context"
	"errors"
	"math/rand/v2"
	"os"
	"sync"
	"testing"
	"time"

	"regmend/schema"
	"regmend/shared/gitlab"
	"regmend/shared/gitlab/gitlabtest"
	"regmend/shared/postgres"
	"regmend/shared/servers"

	"github.com/lib/pq"
)

// flusher writes results as regmend's flush does, over and over.
type flusher struct {
	*database
	t   *testing.T
	in  *installation
	db  *postgres.DB
	run postgres.Run
	ids []int64
}

// startFlusher starts Postgres' side alone, with regmend's tables.
func startFlusher(t *testing.T) *flusher {
	t.Helper()
	dir, err := os.MkdirTemp("", "regmend-chaos-test-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	in := &installation{dir: dir, world: gitlabtest.Generate(3, 1_000), secrets: map[string]string{}}
	if err := os.Chmod(dir, 0o711); err != nil {
		t.Fatal(err)
	}
	if in.database, err = in.startDatabase(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := in.database.stop(); err != nil {
			t.Error(err)
		}
	})
	f := &flusher{database: in.database, t: t, in: in}
	f.migrate()
	for _, p := range in.world.Projects[:200] {
		if !p.PendingDelete && !p.Routeless {
			f.ids = append(f.ids, p.ID)
		}
	}
	f.write()
	return f
}

func (f *flusher) migrate() {
	f.t.Helper()
	owner := f.open(f.ownerURL())
	if err := owner.Migrate(f.t.Context(), schema.Migrations, postgres.MigrateOptions{}); err != nil {
		f.t.Fatal(err)
	}
	if err := f.grantRuntime(f.t.Context()); err != nil {
		f.t.Fatal(err)
	}
	f.db = f.open(f.env()["REGMEND_DATABASE_URL"])
	var err error
	if f.run, err = f.db.NewRun(f.t.Context(), "a test", "registry.example.com", 0); err != nil {
		f.t.Fatal(err)
	}
}

func (f *flusher) open(url string) *postgres.DB {
	f.t.Helper()
	db, err := postgres.Open(url)
	if err != nil {
		f.t.Fatal(err)
	}
	f.t.Cleanup(func() { _ = db.Close() })
	return db
}

// results are new ones of every project.
func (f *flusher) results(ctx context.Context) ([]gitlab.Result, error) {
	var paths []struct {
		ID   int64
		Path string
		Scan int64
	}
	err := f.sql.SelectContext(ctx, &paths, `
SELECT source_id AS id, path, nextval('regmend.scan_number') AS scan FROM public.routes
WHERE source_type = 'Project' AND source_id = ANY ($1)`, pq.Array(f.ids))
	var results []gitlab.Result
	for _, p := range paths {
		results = append(results, gitlab.Result{
			Run: f.run.ID, Scan: p.Scan, Project: gitlab.Project{ID: p.ID, FullPath: p.Path},
			Status: gitlab.Completed, Evidence: gitlab.Evidence{Method: "test", Pages: 1, Listed: 1}, Missing: []string{"lost"},
		})
	}
	return results, err
}

// flush writes once.
func (f *flusher) flush(ctx context.Context) error {
	results, err := f.results(ctx)
	if err == nil {
		_, err = f.db.Write(ctx, f.run, results)
	}
	return err
}

// write flushes once, which must succeed.
func (f *flusher) write() {
	f.t.Helper()
	if err := f.flush(f.t.Context()); err != nil {
		f.t.Fatal(err)
	}
}

// during flushes as long as do runs, and returns the errors there were.
func (f *flusher) during(t *testing.T, do func() error) []error {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	var errs []error
	var flushing sync.WaitGroup
	flushing.Go(func() {
		for ctx.Err() == nil {
			if err := f.flush(ctx); !errors.Is(err, context.Canceled) && err != nil {
				errs = append(errs, err)
			}
		}
	})
	err := do()
	cancel()
	f.proxy.Cut() // a flush that waits for an answer does not notice otherwise
	flushing.Wait()
	if err != nil {
		t.Fatal(err)
	}
	return errs
}

// feed is the flusher's own flushing.
func (*flusher) feed(ctx context.Context, holds condition) error {
	return servers.Await(ctx, "a flush meets the fault", 20*time.Second, holds)
}

// count is how many statements failed with the SQLSTATE so far.
func (f *flusher) count(t *testing.T, state string) int {
	t.Helper()
	n, err := f.errorsOf(state)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// healthy makes sure that flushes pass again. A PgBouncer that has just started
// does not wait before it tries the server again.
func (f *flusher) healthy(t *testing.T) {
	t.Helper()
	if err := f.restartBouncer(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	if _, err := f.recovered(t.Context()); err != nil {
		t.Fatal(err)
	}
	err := servers.Await(t.Context(), "a flush passes", 10*time.Second, func(ctx context.Context) (bool, error) {
		err := f.flush(ctx)
		return err == nil, err
	})
	if err != nil {
		t.Error(err)
	}
}

// value returns the one value of a query.
func value[T any](t *testing.T, d *database, query string, args ...any) (v T) {
	t.Helper()
	if err := d.sql.GetContext(t.Context(), &v, query, args...); err != nil {
		t.Fatalf("%s: %v", query, err)
	}
	return v
}

// evens and odds decide what the next roll is.
type (
	evens struct{}
	odds  struct{}
)

func (evens) Uint64() uint64     { return 0 }
func (odds) Uint64() uint64      { return 1<<64 - 1 }
func (e evens) dice() *rand.Rand { return rand.New(e) }
func (o odds) dice() *rand.Rand  { return rand.New(o) }

// crash ends it as nobody asked for.
func (b *bouncer) crash() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.server.Kill()
}
