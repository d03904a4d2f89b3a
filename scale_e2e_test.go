package main_test

import (
	"slices"
	"testing"
	"time"

	"regmend/shared/gitlab/gitlabtest"
	"regmend/shared/registry/registrytest"
)

// begin starts consumers and enables scanning; it returns when the witness has
// spoken and nothing but work is missing.
func (in *installation) begin(consumers int) []*process {
	in.t.Helper()
	var started []*process
	for range consumers {
		started = append(started, in.start("consumer", "--metrics-listen", in.freeAddress()))
	}
	in.run("enable")
	for _, p := range started {
		in.awaitPrinted("registry found", 30*time.Second, p)
	}
	in.awaitPrinted("known repositories looked for in the registry", 30*time.Second, started...)
	in.await("scanning may begin", 30*time.Second, func(s status) bool { return s.Enabled && s.Holding == nil })
	return started
}

// migrate makes regmend's tables and settings, given as key, value, …. The brake
// is off: a busy machine makes every registry slow, and a step ends listings that
// tests count. What is missing is looked at twice, and counted at any age.
func (in *installation) migrate(settings ...string) {
	in.t.Helper()
	in.run("migrate")
	in.set("brake", "off", "confirm_after", "0s", "min_age", "0s")
	in.set(settings...)
}

// set changes settings.
func (in *installation) set(settings ...string) {
	in.t.Helper()
	for pair := range slices.Chunk(settings, 2) {
		in.run("settings", "set", pair[0], pair[1])
	}
}

// tell logs how it went.
func (in *installation) tell(began time.Time) {
	in.t.Helper()
	in.t.Logf("analysed in %s: %d requests, at most %d in flight",
		time.Since(began).Round(time.Millisecond), in.registry.Count(), in.registry.MaxInFlight())
}

// scans are what the processes counted.
func (in *installation) scans(processes []*process) (scans, results float64) {
	in.t.Helper()
	for _, p := range processes {
		scans += in.metric(p, "regmend_scan_duration_seconds_count")
		results += in.metric(p, `regmend_results_total{status="completed"}`)
		results += in.metric(p, `regmend_results_total{status="failed"}`)
	}
	return scans, results
}

// What the issue wants to see when all is done.
func TestTwentyThousandProjects(t *testing.T) {
	in := newInstallation(t, registrytest.Options{})
	in.fill(gitlabtest.Generate(1, 20_000))
	in.migrate("page_size", "100", "max_concurrency", "4")
	consumers := in.begin(3)
	in.registry.Forget() // doctor, probes and witness

	began := time.Now()
	in.start("producer")
	in.start("producer")
	in.start("web", "--listen", in.freeAddress())
	s := in.await("every project is analysed", 3*time.Minute, status.analysed)
	in.tell(began)
	scans, results := in.scans(consumers)
	in.leaveAll()

	in.checkTotals(s)
	in.checkResults(s.Run)
	in.checkCap(4)
	// Each consumer names another control every ten seconds at most.
	in.checkOneScan(len(consumers) * (1 + int(time.Since(began)/(10*time.Second))))
	if want := float64(s.Eligible); results != want || scans != want-float64(s.Failed)+float64(s.ProjectsWithMissing) {
		t.Errorf("%v scans with %v results of %d projects, %d of which have no route: each is to be scanned once, and the %d that miss something twice",
			scans, results, s.Eligible, s.Failed, s.ProjectsWithMissing)
	}
}

func TestRegistriesOnOtherCollations(t *testing.T) {
	t.Parallel()
	for name, collation := range registrytest.Collations() {
		if collation == registrytest.C {
			continue // the other tests'
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			in := newInstallation(t, registrytest.Options{Collation: collation})
			in.fill(gitlabtest.Generate(2, 2_000))
			in.migrate("page_size", "10", "max_concurrency", "3")
			in.analyse()
		})
	}
}

func TestDistributionRegistry(t *testing.T) {
	t.Parallel()
	in := newInstallation(t, registrytest.Options{Mode: registrytest.Distribution})
	in.fill(gitlabtest.Generate(3, 500))
	in.migrate("max_concurrency", "3")
	in.analyse()
}

// analyse lets a producer and two consumers analyse everything, and checks what
// came out.
func (in *installation) analyse() status {
	in.t.Helper()
	in.start("producer", "--interval", "2s")
	in.begin(2)
	began := time.Now()
	s := in.await("every project is analysed", 2*time.Minute, status.analysed)
	in.tell(began)
	in.checkTotals(s)
	in.checkResults(s.Run)
	in.checkCap(s.MaxConcurrency)
	return s
}
