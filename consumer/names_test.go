package consumer_test

import (
	"fmt"
	"testing"

	"regmend/shared/gitlab"
	"regmend/shared/registry/registrytest"

	"github.com/hibiken/asynq"
)

// version is the latest of what the project lists, a line a name; "" if there is
// none.
func (w *world) version(project int64) string {
	w.t.Helper()
	return w.Value(w.t, `SELECT (SELECT c.names FROM regmend.snapshots s LEFT JOIN regmend.snapshot_contents c USING (digest)
		WHERE s.project_id = $1 ORDER BY s.number DESC LIMIT 1)`, project)
}

func TestAScanKeepsAllThatItsProjectLists(t *testing.T) {
	// Of the distribution API it is not known which are empty, but of those that
	// were asked for.
	for name, test := range map[string]struct {
		options registrytest.Options
		want    []string
	}{
		"gitlab":       {registrytest.Options{}, []string{"", "known", "lost"}},
		"distribution": {registrytest.Options{Mode: registrytest.Distribution}, []string{"", "emptied-known", "known", "lost"}},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorldOf(t, test.options)
			id, none := w.Project(t, app(1)), w.Project(t, app(2))
			for _, name := range []string{"", "known", "emptied-known"} {
				w.pushed(id, app(1), name)
			}
			w.lost(app(1), "lost")
			w.lost(app(1), "emptied")
			w.registry.Untag(app(1) + "/emptied")
			w.registry.Untag(app(1) + "/emptied-known")
			w.set("witness_share", "0")
			w.begin()
			w.producer()
			w.consumer()
			w.await("both are done", w.completed(2))
			if got, want := w.version(id), gitlab.Canonical(test.want); got != want {
				t.Errorf("the version is %q, want %q", got, want)
			}
			if got := w.version(none); got != "" {
				t.Errorf("a project that lists nothing has the version %q", got)
			}
			if got := w.Value(t, `SELECT string_agg(name, ',') FROM regmend.missing_repositories`); got != "lost" {
				t.Errorf("missing are %s", got)
			}
		})
	}
}

// Its names are more than one statement asks for.
func TestAVeryLargeProjectIsKeptWhole(t *testing.T) {
	w := newWorld(t)
	id := w.Project(t, app(1))
	var names []string
	for i := range 12_000 {
		names = append(names, fmt.Sprintf("image-%d", i))
	}
	for _, name := range names {
		w.lost(app(1), name)
	}
	w.pushed(id, app(1), "known")
	w.begin()
	w.producer()
	w.consumer()
	w.await("it is done", w.completed(1))
	want := gitlab.NameSet(append(names, "known"))
	if w.version(id) != gitlab.Canonical(want) {
		t.Error("the version has other names than were listed")
	}
	if got := w.Value(t, `SELECT (missing_count = $1 - 1) || ' ' || (listed = $1) FROM regmend.data_repair_details`, len(want)); got != "true true" {
		t.Errorf("count and evidence are right: %s", got)
	}
}

// Whoever leads enqueues the removal of old versions, and a consumer does it.
func TestOldVersionsAreRemovedByThemselves(t *testing.T) {
	w := newWorld(t)
	id := w.Project(t, app(1))
	w.pushed(id, app(1), "a")
	w.begin()
	w.Exec(t, `INSERT INTO regmend.snapshots (project_id, number, listed, run_id, scan_number, last_scan_number)
		SELECT $1, number, 0, 1, number, number FROM generate_series(1, 30) AS number`, id)
	w.set("scan_enabled", "false")
	w.consumer()
	w.producer()
	w.await("the newest are left", func() bool {
		return w.Value(t, `SELECT min(number) || ' ' || count(*) FROM regmend.snapshots`) == "21 10"
	})
	tasks, err := asynq.NewInspectorFromRedisClient(w.redis).ListCompletedTasks("retain")
	if err != nil || len(tasks) > 1 {
		t.Errorf("%d tasks removed them, %v, want one an hour", len(tasks), err)
	}
}
