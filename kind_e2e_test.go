package main_test

import (
	"slices"
	"testing"
	"time"

	"regmend/shared/gitlab/gitlabtest"
	"regmend/shared/registry/registrytest"
)

// The processes of the command line spend the rate, and tell the brake what the
// registry answers.
func TestRealProcessesAreKind(t *testing.T) {
	in := newInstallation(t, registrytest.Options{})
	in.fill(gitlabtest.Generate(7, 400))
	const perSecond = 40
	in.migrate("brake", "on", "max_concurrency", "8", "requests_per_second", "40", "batch_size", "20")
	in.registry.Forget()
	in.start("producer")
	in.begin(2)
	began := time.Now()
	s := in.await("all projects are analysed", 60*time.Second, status.analysed)
	in.tell(began)
	in.checkTotals(s)
	var starts []time.Time
	for _, r := range in.registry.Requests() {
		if r.Start.After(began) {
			starts = append(starts, r.Start)
		}
	}
	slices.SortFunc(starts, time.Time.Compare)
	for i, at := range starts {
		end, _ := slices.BinarySearchFunc(starts, at.Add(time.Second), time.Time.Compare)
		if n := end - i; n > perSecond {
			t.Fatalf("%d requests in a second, want at most %d", n, perSecond)
		}
	}
	if got := in.Value(t, `SELECT count(*) > 0 FROM regmend.brake_steps`); got != "true" {
		t.Error("the brake took no step")
	}
}
