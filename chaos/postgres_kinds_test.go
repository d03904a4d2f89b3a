package main

import (
	"context"
	"errors"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"regmend/shared/postgres"
	"regmend/shared/servers"

	"github.com/lib/pq"
)

// TestPostgresFaults sees each fault from where regmend's flush is, and flushes
// that pass after it.
func TestPostgresFaults(t *testing.T) {
	f := startFlusher(t)
	dice := rand.New(rand.NewPCG(1, 1))
	for _, fault := range []struct {
		name   string
		fails  string // the SQLSTATE with which the server fails statements
		logged string // what the server says, if anything
		do     func(context.Context) error
	}{
		{"restart", "57P01", "received fast shutdown", func(ctx context.Context) error { return f.restart(ctx, dice) }},
		{"crash", "", "was not properly shut down", func(ctx context.Context) error { return f.crash(ctx, dice) }},
		{"stopped", "57P01", "received fast shutdown", func(ctx context.Context) error { return away(time.Second)(f.database, ctx, odds{}.dice()) }},
		{"terminate", "57P01", "", func(ctx context.Context) error { return f.terminate(ctx, dice) }},
		{"serialization failure", "40001", "", func(ctx context.Context) error { return f.refuse(ctx, f.feed) }},
		{"deadlock", "40P01", "deadlock detected", func(ctx context.Context) error { return f.entangle(ctx, f.ids, f.feed) }},
		{"disk full", "53100", "No space left on device", func(ctx context.Context) error { return f.fill(ctx, f.feed) }},
	} {
		t.Run(fault.name, func(t *testing.T) {
			failed, said := f.count(t, fault.fails), f.said(t, fault.logged)
			f.during(t, func() error { return fault.do(t.Context()) })
			if fault.fails != "" && f.count(t, fault.fails) == failed {
				t.Errorf("no statement failed with %s", fault.fails)
			}
			if fault.logged != "" && f.said(t, fault.logged) == said {
				t.Errorf("the server did not say %q", fault.logged)
			}
			f.healthy(t)
		})
	}
	for name, query := range map[string]string{
		"schema faults": `SELECT count(*) FROM pg_namespace WHERE nspname = 'faults'`,
		"triggers":      `SELECT count(*) FROM pg_trigger WHERE tgname = 'faults_refuse'`,
		"tablespaces":   `SELECT count(*) FROM pg_tablespace WHERE spcname = 'small'`,
		"moved tables":  `SELECT count(*) FROM pg_class WHERE reltablespace NOT IN (0, 1664)`,
	} {
		if n := value[int](t, f.database, query); n != 0 {
			t.Errorf("%d %s are left behind", n, name)
		}
	}
	t.Run("the way there", func(t *testing.T) { testTheWayThere(t, f) })
	t.Run("lock held", func(t *testing.T) { testLock(t, f) })
	t.Run("commit reply lost", func(t *testing.T) { testLostCommit(t, f) })
	t.Run("projects", func(t *testing.T) { testProjects(t, f) })
	t.Run("standby", func(t *testing.T) { testStandby(t, f) })
	t.Run("backup restored", func(t *testing.T) { testRestore(t, f) })
}

// said counts what is in the server's log.
func (f *flusher) said(t *testing.T, words string) int {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(f.primary.Dir, "postgres.log"))
	if err != nil {
		t.Fatal(err)
	}
	return strings.Count(string(text), words)
}

// testTheWayThere is about faults of which the server knows nothing.
func testTheWayThere(t *testing.T, f *flusher) {
	refused := away(time.Second)
	if errs := f.during(t, func() error { return refused(f.database, t.Context(), evens{}.dice()) }); len(errs) == 0 {
		t.Error("no flush failed while connections were refused")
	}
	f.healthy(t)
	for name, end := range map[string]func() error{
		"restarted": func() error { return f.restartBouncer(t.Context(), nil) },
		"crashed":   f.bouncer.crash,
	} {
		before := f.bouncer.pid()
		f.during(t, end)
		err := servers.Await(t.Context(), "another PgBouncer runs", 10*time.Second, func(context.Context) (bool, error) {
			return f.bouncer.pid() != before, nil
		})
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		f.healthy(t)
	}
	testSilence(t, f)
}

// testSilence sees connections on which nothing comes any more, for a while or
// for ever.
func testSilence(t *testing.T, f *flusher) {
	f.during(t, func() error { return hang(time.Second)(f.database, t.Context(), nil) })
	f.healthy(t)
	silent := make(chan struct{})
	go func() {
		_, _ = f.db.State(t.Context())
		close(silent)
	}()
	if err := f.swallow(t.Context(), 1); err != nil {
		t.Fatal(err)
	}
	select {
	case <-silent:
		t.Error("there was an answer, or an end")
	default:
	}
	f.proxy.Cut()
	<-silent
	f.healthy(t)
}

func testLock(t *testing.T, f *flusher) {
	held := make(chan error, 1)
	go func() { held <- holdLock(time.Second)(f.database, t.Context(), nil) }()
	err := servers.Await(t.Context(), "the table is locked", 10*time.Second, func(ctx context.Context) (locked bool, err error) {
		err = f.sql.GetContext(ctx, &locked, `
SELECT EXISTS (SELECT FROM pg_locks WHERE mode = 'AccessExclusiveLock' AND granted AND relation = 'regmend.data_repair_details'::regclass)`)
		return locked, err
	})
	if err != nil {
		t.Fatal(err)
	}
	f.write()
	select {
	case err := <-held:
		if err != nil {
			t.Error(err)
		}
	default:
		t.Error("results were written while the table was locked")
	}
}

// testLostCommit sees a flush that is written and believes it is not.
func testLostCommit(t *testing.T, f *flusher) {
	results, err := f.results(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	written := make(chan error, 1)
	err = f.loseCommit(t.Context(), func(ctx context.Context, waits condition) error {
		go func() {
			_, err := f.db.Write(ctx, f.run, results)
			written <- err
		}()
		return f.feed(ctx, waits)
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := <-written; err == nil {
		t.Error("the flush knows that it was committed")
	}
	if scan := value[int64](t, f.database, `SELECT max(scan_number) FROM regmend.data_repair_details`); scan < results[len(results)-1].Scan {
		t.Errorf("scan %d is in the table, want the flush's", scan)
	}
	f.healthy(t)
}

func testProjects(t *testing.T, f *flusher) {
	began := time.Now().Add(-time.Minute)
	deleted, renamed := f.ids[:20], f.ids[20:40]
	for _, statement := range []struct {
		sql  string
		args []any
	}{{deleteThese, []any{pq.Array(deleted)}}, {renameThese, []any{pq.Array(renamed), "-moved1"}}} {
		if _, err := f.sql.ExecContext(t.Context(), statement.sql, statement.args...); err != nil {
			t.Fatal(err)
		}
	}
	moved := func() bool {
		so, err := f.holds(t.Context(), selectMoved, renamed, began)
		if err != nil {
			t.Fatal(err)
		}
		return so
	}
	if moved() {
		t.Error("renamed projects count as back with their old results")
	}
	f.healthy(t)
	if gone, err := f.holds(t.Context(), selectGone, deleted, began); err != nil || !gone {
		t.Errorf("deleted projects are gone: %v, %v", gone, err)
	}
	if gone, err := f.holds(t.Context(), selectGone, renamed, began); err != nil || gone {
		t.Errorf("projects with results are gone: %v, %v", gone, err)
	}
	if !moved() {
		t.Error("renamed projects are not back with new results")
	}
}

// testStandby sees that it follows, that nothing can be written there, and that
// it can be kept from knowing rows.
func testStandby(t *testing.T, f *flusher) {
	for _, err := range f.during(t, func() error { return f.leadToStandby(t.Context(), time.Second) }) {
		if errors.Is(err, postgres.ErrStandby) {
			testFrozen(t, f)
			f.healthy(t)
			return
		}
	}
	t.Error("no flush came to the standby")
}

func testFrozen(t *testing.T, f *flusher) {
	release, err := f.freezeStandby(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	known, err := openDatabase(f.standby.Database(databaseName))
	if err != nil {
		t.Fatal(err)
	}
	defer known.Close()
	f.in.witness = &witness{in: f.in, truth: &truth{epochs: []map[int64][]version{{}}}}
	ids, err := f.in.insertLost(t.Context(), rand.New(rand.NewPCG(1, 2)), 20)
	if err != nil {
		t.Fatal(err)
	}
	const rows = `SELECT count(*) FROM public.container_repositories WHERE project_id = ANY ($1)`
	want := value[int](t, f.database, rows, pq.Array(ids))
	count := func(ctx context.Context) (n int) {
		if err := known.GetContext(ctx, &n, rows, pq.Array(ids)); err != nil {
			t.Error(err)
		}
		return n
	}
	if n := count(t.Context()); n != want-20 {
		t.Errorf("the standby knows %d of %d rows, want all but 20", n, want)
	}
	if err := release(nil); err != nil {
		t.Fatal(err)
	}
	if err := servers.Await(t.Context(), "the standby follows", 10*time.Second, func(ctx context.Context) (bool, error) {
		return count(ctx) == want, nil
	}); err != nil {
		t.Error(err)
	}
}

// testRestore sees that the older state is there, whole and with all rights.
func testRestore(t *testing.T, f *flusher) {
	const state = `SELECT max(scan_number) FROM regmend.data_repair_details`
	before := value[int64](t, f.database, state)
	dump := filepath.Join(f.dir, "test.dump")
	if err := f.dump(t.Context(), dump); err != nil {
		t.Fatal(err)
	}
	f.healthy(t)
	const which = `SELECT oid FROM pg_database WHERE datname = current_database()`
	old := value[int](t, f.database, which)
	f.during(t, func() error {
		if err := f.dismiss(t.Context()); err != nil {
			return err
		}
		return f.restore(t.Context(), dump)
	})
	if value[int](t, f.database, which) == old {
		t.Error("it is the same database as before")
	}
	if after := value[int64](t, f.database, `SELECT min(scan_number) FROM regmend.data_repair_details`); after > before {
		t.Errorf("scan %d is in the table, want none after %d", after, before)
	}
	f.healthy(t)
	if err := f.grantRuntime(t.Context()); err != nil {
		t.Error(err)
	}
	if may := value[bool](t, f.database, `SELECT has_database_privilege($1, $2, 'CREATE')`, ownerRole, databaseName); !may {
		t.Error("regmend's owner may not create its schema any more")
	}
}
