package main_test

import (
	"path/filepath"
	"testing"
	"time"

	"regmend/shared/gitlab/gitlabtest"
	"regmend/shared/postgres/postgrestest"
	"regmend/shared/registry/registrytest"
	"regmend/shared/servers"
)

// What the tool is used for most: the database comes back from a backup that
// GitLab's own role made, with results of its time and scan numbers that Redis
// has seen already.
func TestRestoredDatabaseHoldsUntilANewRun(t *testing.T) {
	t.Parallel()
	in := newInstallation(t, registrytest.Options{Latency: 5 * time.Millisecond})
	in.fill(gitlabtest.Generate(8, 1_000))
	gitlab := in.role("gitlab")
	in.giveTablesTo(gitlab)
	in.migrate("batch_size", "20", "flush_after", "1s")
	in.start("producer")
	in.begin(2)

	in.await("a part is analysed", time.Minute, func(s status) bool { return s.Completed >= s.Eligible/4 })
	dump := filepath.Join(t.TempDir(), "gitlab.dump")
	in.postgres("pg_dump", "--format=custom", "--file="+dump, as(in.URL, gitlab))
	in.await("more is analysed", time.Minute, func(s status) bool { return s.Completed >= s.Eligible/2 })
	in.leaveAll()
	in.restore(dump, postgrestest.Server(), in.Name)

	in.registry.Forget()
	in.checkHolds("it was restored")
	in.run("run", "new", "--reason", "restored")
	s := in.await("every project is analysed", time.Minute, status.analysed)
	in.checkResults(s.Run)
	if s.Run < 2 {
		t.Errorf("run %d, want a new one", s.Run)
	}
	in.leaveAll()

	other := newPostgres(t)
	in.restore(dump, other, "elsewhere", "--no-owner", "--no-privileges")
	in.useDatabase(other.Database("elsewhere"))
	in.registry.Forget()
	in.checkHolds("cluster")
}

// giveTablesTo makes the role the owner of GitLab's tables.
func (in *installation) giveTablesTo(role string) {
	in.t.Helper()
	in.Exec(in.t, `DO $$ DECLARE name text; BEGIN
FOR name IN SELECT tablename FROM pg_tables WHERE schemaname = 'public' LOOP
	EXECUTE format('ALTER TABLE public.%I OWNER TO `+role+`', name);
END LOOP; END $$`)
}

// restore makes the cluster's database anew from the dump.
func (in *installation) restore(dump string, cluster *servers.Postgres, name string, options ...string) {
	in.t.Helper()
	in.postgres("psql", "--quiet", "--command=DROP DATABASE IF EXISTS "+name+" WITH (FORCE)", "--command=CREATE DATABASE "+name, cluster.URL)
	in.postgres("pg_restore", append(options, "--exit-on-error", "--dbname="+cluster.Database(name), dump)...)
}

// checkHolds starts everything and makes sure that it holds for that reason,
// and asks for no listing.
func (in *installation) checkHolds(reason string) {
	in.t.Helper()
	in.start("producer", "--interval", "1s")
	started := in.start("consumer")
	in.await("regmend holds", 30*time.Second, func(s status) bool { return s.holdsFor(reason) })
	in.awaitPrinted(reason, 30*time.Second, started)
	if asked := in.registry.Requests(registrytest.List); len(asked) > 0 {
		in.t.Errorf("%d listings were asked for", len(asked))
	}
}
