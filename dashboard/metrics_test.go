package dashboard_test

import (
	"bytes"
	"maps"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"regmend/dashboard"
	"regmend/shared/board"
	"regmend/shared/gitlab"
	"regmend/shared/slots"
	"regmend/shared/stash"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
)

func TestMetricsSayHowRegmendStands(t *testing.T) {
	s := serve(t, dashboard.Config{})
	s.enabled(t)
	s.set(t, "max_concurrency", "7")
	s.note(t)
	enqueue(t, s.rdb, scan(t))

	want := map[string]string{
		`regmend_part_up{part="postgres"}`:                    "1",
		`regmend_part_up{part="redis"}`:                       "1",
		`regmend_run`:                                         "1",
		`regmend_scan_enabled`:                                "1",
		`regmend_max_concurrency`:                             "7",
		`regmend_slots_in_use`:                                "2",
		`regmend_projects{state="completed"}`:                 "60",
		`regmend_projects{state="failed"}`:                    "5",
		`regmend_projects{state="pending"}`:                   "25",
		`regmend_projects{state="ineligible"}`:                "10",
		`regmend_missing_repositories`:                        "33",
		`regmend_projects_with_missing`:                       "12",
		`regmend_queue_tasks{queue="scan",state="pending"}`:   "1",
		`regmend_queue_tasks{queue="flush",state="pending"}`:  "0",
		`regmend_queue_tasks{queue="adhoc",state="archived"}`: "0",
		`regmend_queue_paused{queue="scan"}`:                  "0",
		`regmend_stash_results`:                               "2",
		`regmend_scanned_projects_total`:                      "2",
		`regmend_holding{kind="registry"}`:                    "1",
		`regmend_holding{kind="witness"}`:                     "0",
		`regmend_holding{kind="catalog"}`:                     "0",
		`regmend_holding{kind="run"}`:                         "1",
		`regmend_holding{kind="postgres"}`:                    "0",
		`regmend_processes{kind="consumer"}`:                  "0",
		`regmend_witness_sampled`:                             "200",
		`regmend_witness_found`:                               "190",
	}
	page := get(t, s.url+"/metrics").body
	got := samples(page)
	if diff := cmp.Diff(want, chosen(got, want)); diff != "" {
		t.Errorf("metrics (-want +got):\n%s", diff)
	}
	for _, name := range []string{"regmend_stash_bytes", "regmend_stash_age_seconds", "regmend_counters_age_seconds", "regmend_witness_age_seconds"} {
		if _, ok := got[name]; !ok {
			t.Errorf("no %s", name)
		}
	}
	mustContain(t, page, "# HELP regmend_projects ", "# TYPE regmend_projects gauge", "# TYPE regmend_scanned_projects_total counter")
}

// note leaves word of a run that is under way but holds.
func (s site) note(t *testing.T) {
	t.Helper()
	ctx, notices := t.Context(), board.New(s.rdb)
	for _, err := range []error{
		notices.SetCounters(ctx, board.Counters{
			Run: 1, Projects: 100, Eligible: 90, Completed: 60, Failed: 5, Pending: 25,
			MissingTotal: 33, ProjectsWithMissing: 12, At: time.Now(),
		}),
		notices.SetHold(ctx, board.Hold{Kind: "registry", Reason: "503 <b>UNAVAILABLE</b>", Since: time.Now()}, time.Minute),
		notices.SetHold(ctx, board.Hold{Kind: "run", Reason: "it was restored", Since: time.Now()}, time.Minute),
		notices.SetWitness(ctx, board.Witness{Run: 1, Sampled: 200, Found: 190, At: time.Now()}, time.Minute),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	results := []gitlab.Result{
		{Run: 1, Scan: 1, Project: gitlab.Project{ID: 1, FullPath: "a/b"}, Status: gitlab.Failed, Error: "500"},
		{Run: 1, Scan: 1, Project: gitlab.Project{ID: 2, FullPath: "a/c"}, Status: gitlab.Failed, Error: "500"},
	}
	if _, err := stash.New(s.rdb, stash.Config{}).Put(ctx, results); err != nil {
		t.Fatal(err)
	}
	if err := notices.CountScanned(ctx, len(results)); err != nil {
		t.Fatal(err)
	}
	s.hold(t, 2)
}

// hold takes slots until the test ends.
func (s site) hold(t *testing.T, n int) {
	t.Helper()
	log, _ := quiet()
	pool := slots.NewPool(s.rdb, "a-consumer", func() slots.Limits { return slots.Limits{Slots: n} }, log, slots.Config{Lease: time.Second})
	run(t, pool.Run)
	for range n {
		_, release, err := pool.Acquire(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(release)
	}
}

func TestMetricsOfAnotherRunAreNotShown(t *testing.T) {
	s := serve(t, dashboard.Config{})
	s.enabled(t)
	if err := board.New(s.rdb).SetCounters(t.Context(), board.Counters{Run: 7, Projects: 3, At: time.Now()}); err != nil {
		t.Fatal(err)
	}
	mustNotContain(t, get(t, s.url+"/metrics").body, "regmend_projects{", "regmend_counters_age")
}

// Whoever reads projects or the results here would wait for ever.
func TestReadingPagesLeavesTheBigTablesAlone(t *testing.T) {
	s := serve(t, dashboard.Config{})
	s.enabled(t)
	tx, err := s.db.SQL.BeginTxx(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer tx.Rollback() //nolint:errcheck // it only held locks
	if _, err := tx.ExecContext(t.Context(), `LOCK TABLE projects, routes, container_repositories, regmend.data_repair_details, regmend.missing_repositories IN ACCESS EXCLUSIVE MODE`); err != nil {
		t.Fatal(err)
	}
	mustContain(t, get(t, s.url+"/metrics").body, `regmend_part_up{part="postgres"} 1`, "regmend_run 1")
	mustContain(t, get(t, s.url+"/").body, "the first one")
}

// The pages are shown on walls and scraped by several: that must not add up.
func TestManyReadersCostOneReadingASecond(t *testing.T) {
	s := serve(t, dashboard.Config{})
	s.enabled(t)
	s.mustBeSpared(t, "mget", func() { get(t, s.url+"/metrics") })
}

// mustBeSpared checks that Redis gets no more than one such command a second
// from a hundred requests at once.
func (s site) mustBeSpared(t *testing.T, command string, request func()) {
	t.Helper()
	before, began := s.calls(t, command), time.Now()
	var requests sync.WaitGroup
	for range 100 {
		requests.Go(request)
	}
	requests.Wait()
	most := 2 + int(time.Since(began).Seconds())
	if calls := s.calls(t, command) - before; calls < 1 || calls > most {
		t.Errorf("%s was called %d times in %s, want at most %d", command, calls, time.Since(began), most)
	}
}

// calls is how often Redis was given the command.
func (s site) calls(t *testing.T, command string) int {
	t.Helper()
	stats := s.rdb.InfoMap(t.Context(), "commandstats").Item("Commandstats", "cmdstat_"+command)
	if stats == "" {
		return 0
	}
	calls, err := strconv.Atoi(strings.TrimPrefix(strings.Split(stats, ",")[0], "calls="))
	if err != nil {
		t.Fatalf("%q: %v", stats, err)
	}
	return calls
}

func TestMetricsSayWhatIsUnreachable(t *testing.T) {
	s := serve(t, dashboard.Config{})
	s.stopRedis(t)
	page := get(t, s.url+"/metrics").body
	mustContain(t, page, `regmend_part_up{part="redis"} 0`, `regmend_part_up{part="postgres"} 1`, "regmend_scan_enabled 0")
	mustNotContain(t, page, "regmend_stash_results", "regmend_queue_tasks")

	s = serve(t, dashboard.Config{})
	s.closePostgres(t)
	page = get(t, s.url+"/metrics").body
	mustContain(t, page, `regmend_part_up{part="redis"} 1`, `regmend_part_up{part="postgres"} 0`, "regmend_stash_results 0")
	mustNotContain(t, page, "regmend_scan_enabled", "regmend_max_concurrency")
}

func TestMetricsFollowTheConventions(t *testing.T) {
	s := serve(t, dashboard.Config{})
	s.enabled(t)
	s.note(t)
	problems, err := promlint.New(strings.NewReader(get(t, s.url+"/metrics").body)).Lint()
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		if strings.HasPrefix(p.Metric, "regmend_") {
			t.Errorf("%s: %s", p.Metric, p.Text)
		}
	}
}

func TestMetricsServesTheCollectorsItIsGiven(t *testing.T) {
	scans := prometheus.NewCounter(prometheus.CounterOpts{Name: "regmend_scans_total", Help: "Scans."})
	scans.Add(3)
	for range 2 { // each from a registry of its own
		page := httptest.NewRecorder()
		dashboard.Metrics(scans).ServeHTTP(page, httptest.NewRequest(http.MethodGet, "/metrics", nil))
		mustContain(t, page.Body.String(), "regmend_scans_total 3", "go_goroutines", "process_open_fds")
	}
}

func samples(page string) map[string]string {
	found := map[string]string{}
	for line := range bytes.Lines([]byte(page)) {
		text := strings.TrimSpace(string(line))
		if name, value, ok := strings.Cut(text, " "); ok && name != "#" {
			found[name] = value
		}
	}
	return found
}

// chosen is what got says of those that want names.
func chosen(got, want map[string]string) map[string]string {
	only := maps.Clone(got)
	maps.DeleteFunc(only, func(name, _ string) bool {
		_, wanted := want[name]
		return !wanted
	})
	return only
}
