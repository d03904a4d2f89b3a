package postgres_test

import (
	"os"
	"testing"

	"regmend/schema"
	"regmend/shared/gitlab"
	"regmend/shared/postgres"
	"regmend/shared/postgres/postgrestest"
	"regmend/shared/servers"

	"github.com/google/go-cmp/cmp"
)

// live does, through db, everything that regmend does while it runs, on an
// installation of two projects in g, one of them with a row for its root.
func live(t *testing.T, db *postgres.DB, projects []int64) {
	t.Helper()
	ctx := t.Context()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(db.Ping(ctx))
	must(db.CheckSchema(ctx, schema.Migrations))
	_, err := db.Set(ctx, "max_concurrency", "7", "a test")
	must(err)
	_, err = db.Settings(ctx)
	must(err)
	_, err = db.SettingsHistory(ctx, 10)
	must(err)
	run, err := db.NewRun(ctx, "a test", "registry.example.com", 10)
	must(err)
	_, err = db.Runs(ctx)
	must(err)
	state, err := db.State(ctx)
	must(err)
	if state.Run != run || state.Settings.MaxConcurrency != 7 || state.Scan != run.Scan || state.SystemID != run.SystemID {
		t.Errorf("State() = %+v, want run %+v", state, run)
	}

	_, err = db.TakeStep(ctx, 0, step(run, 2, 3))
	must(err)
	_, err = db.BrakeSteps(ctx, 10)
	must(err)

	walked, err := db.Walk(ctx, run, 0, []string{"G"}, 0, 100, 100)
	must(err)
	if diff := cmp.Diff(projects, walked.IDs); diff != "" {
		t.Errorf("Walk() (-want +got):\n%s", diff)
	}
	loaded, err := db.Load(ctx, run, 0, walked.IDs, 0)
	must(err)
	listed := []postgres.Listed{{ProjectID: projects[0], Name: ""}, {ProjectID: projects[0], Name: "lost"}}
	missing, err := db.WithoutRow(ctx, listed)
	must(err)
	if diff := cmp.Diff(listed[1:], missing); diff != "" {
		t.Errorf("WithoutRow() (-want +got):\n%s", diff)
	}
	_, err = db.Sample(ctx, 5)
	must(err)
	first := gitlab.Result{
		Run: run.ID, Scan: loaded.Scan, Project: loaded.Projects[0], Status: gitlab.Looked, Missing: []string{"lost"},
		Evidence: gitlab.Evidence{Method: "gitlab", Pages: 1, Listed: 2},
	}
	looked, err := db.Write(ctx, run, []gitlab.Result{first})
	must(err)
	if want := (postgres.Written{Looked: 1}); looked != want {
		t.Errorf("Write() = %+v, want %+v", looked, want)
	}
	loaded, err = db.Load(ctx, run, 0, walked.IDs, 0)
	must(err)
	found, err := db.Missing(ctx, postgres.Glance{Run: run, Scan: loaded.Scan, Start: loaded.At, Projects: loaded.Projects}, listed)
	must(err)
	if want := []postgres.Missing{{Listed: listed[1], Confirmed: true}}; !cmp.Equal(want, found) {
		t.Errorf("Missing() = %+v, want %+v", found, want)
	}
	results := []gitlab.Result{
		{
			Run: run.ID, Scan: loaded.Scan, Project: loaded.Projects[0], Status: gitlab.Completed, Missing: []string{"lost"}, Names: []string{"", "lost"},
			Evidence: gitlab.Evidence{Method: "gitlab", Pages: 1, Listed: 2},
		},
		{Run: run.ID, Scan: loaded.Scan, Project: loaded.Projects[1], Status: gitlab.Failed, Error: "timeout"},
	}
	written, err := db.Write(ctx, run, results)
	must(err)
	if want := (postgres.Written{Applied: 2}); written != want {
		t.Errorf("Write() = %+v, want %+v", written, want)
	}
	_, err = db.DropOrphans(ctx, 0, 1000)
	must(err)
	must(keepVersions(t, db, run, results[0]))
	must(db.DropLooks(ctx, run, 0, 1000))
	read(t, db, run, projects)
	sweepOnce(t, db, run)
	read(t, db, run, projects)
}

// keepVersions writes two more results of r's project, one of them another version,
// and removes the first one.
func keepVersions(t *testing.T, db *postgres.DB, run postgres.Run, r gitlab.Result) error {
	t.Helper()
	ctx := t.Context()
	r.Names, r.Listed = []string{"", "lost", "more"}, 3
	for range 2 {
		loaded, err := db.Load(ctx, run, 0, []int64{r.Project.ID}, r.Scan)
		if err != nil {
			return err
		}
		r.Scan = loaded.Scan
		if _, err := db.Write(ctx, run, []gitlab.Result{r}); err != nil {
			return err
		}
	}
	removed, err := db.Retain(ctx, postgres.Settings{RetainSnapshots: 1}, 0)
	if want := (postgres.Retained{Versions: 1, Contents: 1, Next: r.Project.ID, End: true}); err != nil || removed != want {
		t.Errorf("Retain() = %+v, %v, want %+v", removed, err, want)
	}
	_, snapshots, err := db.Snapshots(ctx, r.Project.FullPath)
	if err != nil || len(snapshots) != 1 || snapshots[0].Number != 2 || snapshots[0].LastScan != r.Scan {
		t.Errorf("Snapshots() = %+v, %v, want the second alone", snapshots, err)
	}
	names, err := db.SnapshotNames(ctx, r.Project.ID, 2)
	if diff := cmp.Diff(r.Names, names); err != nil || diff != "" {
		t.Errorf("SnapshotNames(), %v (-want +got):\n%s", err, diff)
	}
	if err := db.AcceptShrunk(ctx, run, "a test"); err != nil {
		return err
	}
	_, err = db.Check(ctx, postgres.Settings{RetainSnapshots: 1}, func(d postgres.Disagreement) error {
		t.Errorf("Check() finds %+v", d)
		return nil
	}, func(postgres.Checked) {})
	return err
}

// sweepOnce makes a sweep that finds out nothing new, and one that is given up.
func sweepOnce(t *testing.T, db *postgres.DB, run postgres.Run) {
	t.Helper()
	ctx := t.Context()
	sweep, err := db.BeginSweep(ctx, run, "a test")
	for range 2 {
		for err == nil && sweep.State == postgres.SweepPreparing {
			sweep, err = db.Keep(ctx, sweep)
		}
		if err == nil {
			sweep, err = db.SweepPage(ctx, sweep, []string{"g/app", "g/app/lost", "g/app/new", "g/other/new", "g/nobody"}, "")
		}
		var candidates []postgres.Candidate
		if err == nil {
			candidates, err = db.SweepCandidates(ctx, sweep, 10)
		}
		if err == nil && len(candidates) == 2 {
			err = db.SetTagged(ctx, sweep, []postgres.TaggedCandidate{{Candidate: candidates[0]}})
		}
		if err == nil && sweep.Reason == "" {
			sweep, err = db.RestartWalk(ctx, sweep, "a test")
		}
	}
	for err == nil && !sweep.Ended() {
		sweep, err = db.Prove(ctx, sweep)
	}
	if err != nil || sweep.State != postgres.SweepDone || sweep.Unowned != 1 || sweep.Candidates != 3 {
		t.Errorf("a sweep = %+v, %v, want it done", sweep, err)
	}
	if found, total, err := db.Contradictions(ctx, 10); err != nil || len(found)+total > 0 {
		t.Errorf("Contradictions() = %v, %d, %v, want none", found, total, err)
	}
	if err := db.Unowned(ctx, func(string) error { return nil }); err != nil {
		t.Errorf("Unowned() = %v", err)
	}
	if sweep, err = db.BeginSweep(ctx, run, "a test"); err == nil {
		err = db.FailSweep(ctx, sweep, "a test")
	}
	if last, lastErr := db.Sweep(ctx); err != nil || lastErr != nil || last.State != postgres.SweepFailed {
		t.Errorf("a sweep that was given up = %+v, %v, %v", last, err, lastErr)
	}
}

// read reads what live has written.
func read(t *testing.T, db *postgres.DB, run postgres.Run, projects []int64) {
	t.Helper()
	ctx := t.Context()
	counts, err := db.Counts(ctx, run)
	want := postgres.Counts{Projects: 2, Eligible: 2, Completed: 1, Failed: 1, MissingTotal: 1, ProjectsWithMissing: 1}
	if err != nil || counts != want {
		t.Errorf("Counts() = %+v, %v, want %+v", counts, err, want)
	}
	var paths []string
	err = db.Report(ctx, run, postgres.ReportFilter{Namespace: "G"}, func(r postgres.ReportRow) error {
		paths = append(paths, r.MissingPaths()...)
		return nil
	})
	if err != nil || !cmp.Equal(paths, []string{"g/app/lost"}) {
		t.Errorf("Report() = %v, %v, want g/app/lost", paths, err)
	}
	detail, err := db.Show(ctx, run, "G/APP")
	if err != nil || detail.Project.ID != projects[0] || !detail.Trusted {
		t.Errorf("Show() = %+v, %v", detail, err)
	}
	sorted, err := db.Sort(ctx, run, append(projects, 4711))
	if diff := cmp.Diff(postgres.Sorted{Done: projects, Unknown: []int64{4711}}, sorted); err != nil || diff != "" {
		t.Errorf("Sort() = %v (-want +got):\n%s", err, diff)
	}
	if ids, err := db.Namespace(ctx, "G", 0, 10); err != nil || !cmp.Equal(ids, projects) {
		t.Errorf("Namespace() = %v, %v, want %v", ids, err, projects)
	}
	if ids, err := db.FailedIDs(ctx, run, 0, 10); err != nil || !cmp.Equal(ids, projects[1:]) {
		t.Errorf("FailedIDs() = %v, %v, want %v", ids, err, projects[1:])
	}
	if _, err := db.Inspect(ctx); err != nil {
		t.Errorf("Inspect() = %v", err)
	}
}

// twoProjects is what live works on.
func twoProjects(t *testing.T, db *postgrestest.Database) []int64 {
	t.Helper()
	ids := []int64{db.Project(t, "g/app"), db.Project(t, "g/other")}
	db.Repository(t, ids[0], "")
	return ids
}

// pgBouncer starts one with Omnibus' defaults in front of the test's server.
func pgBouncer(t *testing.T, settings ...string) *servers.PgBouncer {
	t.Helper()
	dir, err := os.MkdirTemp("", "pgbouncer-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	pooler, err := servers.StartPgBouncer(t.Context(), dir, postgrestest.Server(), settings...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = pooler.Stop() })
	return pooler
}

func TestThroughPgBouncerWithOmnibusDefaults(t *testing.T) {
	t.Parallel()
	db := postgrestest.Empty(t)
	projects := twoProjects(t, db)
	// Another client keeps the server processes changing hands.
	pooler := pgBouncer(t, "server_round_robin=1")
	pooled := postgrestest.Open(t, pooler.Database(db.Name))
	migrate(t, pooled, postgres.MigrateOptions{})
	live(t, pooled, projects)
	if err := pooled.Uninstall(t.Context()); err != nil {
		t.Errorf("Uninstall() = %v", err)
	}
}

func TestInspectTellsThePooling(t *testing.T) {
	t.Parallel()
	db := postgrestest.New(t)
	for mode, want := range map[string]postgres.Pooling{
		"transaction": postgres.PoolingTransaction,
		"session":     postgres.PoolingNone,
	} {
		pooler := pgBouncer(t, "pool_mode="+mode)
		seen, err := postgrestest.Open(t, pooler.Database(db.Name)).Inspect(t.Context())
		if err != nil || seen.Pooling != want {
			t.Errorf("pool_mode %s: Pooling = %q, %v, want %q", mode, seen.Pooling, err, want)
		}
	}
	seen, err := db.DB.Inspect(t.Context())
	if err != nil || seen.Pooling != postgres.PoolingNone {
		t.Errorf("directly: Pooling = %q, %v, want %q", seen.Pooling, err, postgres.PoolingNone)
	}
}
