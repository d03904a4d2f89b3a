package main_test

import (
	"testing"

	"regmend/shared/gitlab/gitlabtest"
	"regmend/shared/registry/registrytest"
)

// All of it through a PgBouncer as Omnibus sets it up, as roles that may do
// what the scripts grant and no more.
func TestThroughPgBouncer(t *testing.T) {
	t.Parallel()
	in := newInstallation(t, registrytest.Options{})
	in.fill(gitlabtest.Generate(4, 1_000))
	bouncer := newPgBouncer(t)
	owner, runtime := in.role("owner"), in.role("runtime")

	in.grant("owner", owner)
	in.useDatabase(as(bouncer.Database(in.Name), owner))
	in.run("migrate")
	in.grant("runtime", runtime)
	in.useDatabase(as(bouncer.Database(in.Name), runtime))
	in.set("max_concurrency", "3", "page_size", "50", "confirm_after", "0s", "min_age", "0s")
	s := in.analyse()

	ids := in.someIDs(20)
	before := in.scanNumbers()
	in.run(append([]string{"enqueue", "--force"}, words(ids)...)...)
	in.awaitScannedAgain(ids, before)
	in.checkResults(s.Run)
	in.run("report", "--format", "json")
	in.run("doctor")
}
