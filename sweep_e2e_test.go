package main_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"regmend/shared/gitlab/gitlabtest"
	"regmend/shared/registry/registrytest"
)

// A run begins with a sweep, the consumer that carries it on is killed with -9,
// and in the end every result is what scans would say.
func TestARunWithASweepThroughAKill(t *testing.T) {
	t.Parallel()
	in := newInstallation(t, registrytest.Options{CatalogLimit: 100, Collation: registrytest.Glibc})
	in.fill(gitlabtest.Generate(11, 2_000))
	in.migrate("strategy", "sweep", "max_concurrency", "2", "lap_interval", "1s", "flush_after", "1s")
	held := make(chan struct{})
	in.registry.Fail(registrytest.Where{Kind: registrytest.Catalog, Page: 6, Times: 1}, registrytest.Hold(held))
	consumers := in.begin(2)
	in.start("producer", "--interval", "1s")
	in.await("the sweep is under way", time.Minute, func(s status) bool { return s.Sweep != nil && s.Sweep.Pages == 5 })
	victim := consumers[0]
	if strings.Contains(consumers[1].printed(), "the sweep goes on") {
		victim = consumers[1]
	}
	in.kill(victim)
	close(held)
	in.await("the sweep goes on", 20*time.Second, func(s status) bool { return s.Sweep.Pages > 5 })
	s := in.await("every project is analysed", 2*time.Minute, status.analysed)
	if s.Sweep.State != "done" || s.Sweep.Proven < 1_900-s.ProjectsWithMissing {
		t.Errorf("the sweep: %+v", *s.Sweep)
	}
	in.checkTotals(s)
	in.checkResults(s.Run)
	in.checkCap(s.MaxConcurrency)
	if unowned := in.run("report", "--unowned"); !strings.Contains(unowned, "nobody/app\n") {
		t.Errorf("unowned:\n%s", unowned)
	}
}

// Tokens for the catalog are not to be had: auto scans, and an operator's sweep
// says why it failed.
func TestWithoutTheCatalogProjectsAreScanned(t *testing.T) {
	t.Parallel()
	in := newInstallation(t, registrytest.Options{Auth: &registrytest.Auth{NoCatalog: true}})
	world := gitlabtest.World{Groups: []string{"g"}}
	for i := range int64(30) {
		world.Projects = append(world.Projects, gitlabtest.Project{
			ID: i + 1, FullPath: fmt.Sprintf("g/app%dx", i),
			Repositories: []gitlabtest.Repository{{Name: "a", Pushed: true, Tagged: true, Row: i > 0}},
		})
	}
	in.fill(world)
	in.migrate("strategy", "auto", "lap_interval", "1s", "flush_after", "1s")
	s := in.analyse()
	if s.Sweep != nil {
		t.Errorf("a sweep began: %+v", *s.Sweep)
	}
	in.run("sweep")
	s = in.await("the sweep has ended", time.Minute, func(s status) bool { return s.Sweep != nil && s.Sweep.EndedAt != nil })
	if s.Sweep.State != "failed" || !strings.Contains(s.Sweep.Reason, "registry:catalog:*") {
		t.Errorf("the sweep: %+v", *s.Sweep)
	}
	in.checkResults(s.Run)
	if s.Holding != nil {
		t.Errorf("scanning holds: %s", *s.Holding)
	}
}
