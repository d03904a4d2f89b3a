package main_test

import (
	"fmt"
	"slices"
	"strconv"
	"testing"
	"time"

	"regmend/shared/gitlab/gitlabtest"
	"regmend/shared/registry/registrytest"

	"github.com/lib/pq"
)

func TestNewRunScansEverythingAgain(t *testing.T) {
	t.Parallel()
	in := newInstallation(t, registrytest.Options{})
	in.fill(gitlabtest.Generate(6, 600))
	in.migrate("max_concurrency", "3", "lap_interval", "1s")
	first := in.analyse()
	before := in.scanNumbers()

	in.run("run", "new", "--reason", "a test wants it")
	second := in.await("every project is analysed again", time.Minute, func(s status) bool {
		return s.Run > first.Run && s.analysed()
	})
	in.checkResults(second.Run)
	for id, scan := range in.scanNumbers() {
		if scan <= before[id] {
			t.Errorf("project %d still has scan %d", id, scan)
		}
	}

	ids := in.someIDs(10)
	before = in.scanNumbers()
	in.run(append([]string{"enqueue", "--force"}, words(ids)...)...)
	in.awaitScannedAgain(ids, before)
	in.checkResults(second.Run)
	in.checkOthersKept(ids, before)
}

// A project's path is read again when its result is written: what was listed
// under the old one is nobody's.
func TestProjectsRenamedAndDeletedInMidRun(t *testing.T) {
	t.Parallel()
	in := newInstallation(t, registrytest.Options{Latency: 5 * time.Millisecond})
	in.fill(gitlabtest.Generate(7, 1_000))
	in.migrate("lap_interval", "1s", "batch_size", "20", "flush_after", "1s")
	in.start("producer", "--interval", "1s")
	in.begin(2)
	in.await("a part is analysed", time.Minute, func(s status) bool { return s.Completed >= s.Eligible/5 })
	renamed := in.renamePending(150)
	in.deletePending(10)
	s := in.await("every project is analysed", time.Minute, status.analysed)
	in.checkResults(s.Run)
	t.Logf("renamed %d", renamed)
}

// pending are projects that have no result yet, the next to be scanned first.
const pending = `
SELECT p.id FROM public.projects p
WHERE NOT EXISTS (SELECT FROM regmend.data_repair_details d WHERE d.project_id = p.id)
ORDER BY p.id LIMIT $1`

// renamePending renames the next projects, many of which are being scanned or
// wait in the stash, and pushes to some of them afterwards. No result can be
// written meanwhile.
func (in *installation) renamePending(most int) int {
	in.t.Helper()
	tx, err := in.SQL.BeginTxx(in.t.Context(), nil)
	if err != nil {
		in.t.Fatal(err)
	}
	defer func() { _ = tx.Rollback() }() // no-op after the commit
	if _, err := tx.Exec(`LOCK TABLE regmend.data_repair_details IN SHARE MODE`); err != nil {
		in.t.Fatal(err)
	}
	var paths []string
	err = tx.Select(&paths, `
UPDATE public.routes SET path = path || 'ly'
WHERE source_type = 'Project' AND source_id IN (`+pending+`)
RETURNING lower(path)`, most)
	if err != nil {
		in.t.Fatal(err)
	}
	for i, path := range paths {
		if i%3 == 0 && gitlabtest.CanHold(path) {
			in.registry.Push(path+"/moved", "v1")
		}
	}
	if err := tx.Commit(); err != nil {
		in.t.Fatal(err)
	}
	return len(paths)
}

// deletePending deletes the next projects, as GitLab does.
func (in *installation) deletePending(most int) {
	in.t.Helper()
	var ids []int64
	if err := in.SQL.SelectContext(in.t.Context(), &ids, pending, most); err != nil {
		in.t.Fatal(err)
	}
	for _, statement := range []string{
		`DELETE FROM public.container_repositories WHERE project_id = ANY($1)`,
		`DELETE FROM public.routes WHERE source_type = 'Project' AND source_id = ANY($1)`,
		`DELETE FROM public.projects WHERE id = ANY($1)`,
	} {
		in.Exec(in.t, statement, pq.Array(ids))
	}
}

// scanNumbers are those of the results.
func (in *installation) scanNumbers() map[int64]int64 {
	in.t.Helper()
	var rows []struct {
		ID   int64 `db:"project_id"`
		Scan int64 `db:"scan_number"`
	}
	if err := in.SQL.SelectContext(in.t.Context(), &rows, `SELECT project_id, scan_number FROM regmend.data_repair_details`); err != nil {
		in.t.Fatal(err)
	}
	numbers := map[int64]int64{}
	for _, row := range rows {
		numbers[row.ID] = row.Scan
	}
	return numbers
}

// someIDs are of projects that completed.
func (in *installation) someIDs(n int) []int64 {
	in.t.Helper()
	var ids []int64
	err := in.SQL.SelectContext(in.t.Context(), &ids, `
SELECT project_id FROM regmend.data_repair_details WHERE status = 'completed' ORDER BY md5(project_id::text) LIMIT $1`, n)
	if err != nil || len(ids) != n {
		in.t.Fatalf("%d of %d completed projects: %v", len(ids), n, err)
	}
	return ids
}

func (in *installation) awaitScannedAgain(ids []int64, before map[int64]int64) {
	in.t.Helper()
	in.eventually("forced projects are scanned again", 30*time.Second, func() (bool, string) {
		now := in.scanNumbers()
		left := slices.DeleteFunc(slices.Clone(ids), func(id int64) bool { return now[id] > before[id] })
		return len(left) == 0, fmt.Sprint("not yet: ", left)
	})
}

// checkOthersKept makes sure that no other completed project was scanned.
func (in *installation) checkOthersKept(forced []int64, before map[int64]int64) {
	in.t.Helper()
	now := in.scanNumbers()
	for _, r := range in.results() {
		if id := r.ProjectID; r.Status == "completed" && !slices.Contains(forced, id) && now[id] != before[id] {
			in.t.Errorf("project %d was scanned again, nobody forced it", id)
		}
	}
}

func words(ids []int64) []string {
	words := make([]string, len(ids))
	for i, id := range ids {
		words[i] = strconv.FormatInt(id, 10)
	}
	return words
}
