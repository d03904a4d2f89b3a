package postgres_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"regmend/shared/gitlab"
	"regmend/shared/postgres"
	"regmend/shared/postgres/postgrestest"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// stored is a row with its items, without what depends on the clock.
type stored struct {
	Project  int64  `db:"project_id"`
	Run      int64  `db:"run_id"`
	Status   string `db:"status"`
	Scan     int64  `db:"scan_number"`
	Missing  int    `db:"missing_count"`
	Failure  int64  `db:"failure"`
	Error    string `db:"error"`
	Attempts int    `db:"attempts"`
	HasNext  bool   `db:"has_next"`
	Names    string `db:"names"`
}

const selectStored = `
SELECT d.project_id, run_id, status, scan_number, missing_count, coalesce(failure_scan_number, 0) AS failure,
       coalesce(error, '') AS error, attempts, next_attempt_at IS NOT NULL AS has_next,
       coalesce((SELECT string_agg(name, ',' ORDER BY name) FROM regmend.missing_repositories m
                 WHERE m.project_id = d.project_id), '') AS names
FROM regmend.data_repair_details d
ORDER BY d.project_id`

func rows(t *testing.T, db *postgrestest.Database) []stored {
	t.Helper()
	rows := []stored{}
	if err := db.SQL.SelectContext(t.Context(), &rows, selectStored); err != nil {
		t.Fatal(err)
	}
	return rows
}

// suite is a database with a run and projects g/a, g/b, ... to write about.
type suite struct {
	*postgrestest.Database
	run      postgres.Run
	projects []gitlab.Project
}

func newSuite(t *testing.T, projects int) *suite {
	t.Helper()
	s := &suite{Database: postgrestest.New(t)}
	s.run = s.Run(t)
	for i := range projects {
		path := fmt.Sprintf("Group/app-%c", 'a'+i)
		s.projects = append(s.projects, gitlab.Project{ID: s.Project(t, path), FullPath: path})
	}
	// Numbers up to here are given out.
	s.Exec(t, `SELECT setval('regmend.scan_number', 1000)`)
	return s
}

// at is the scan number n of the suite's run.
func (s *suite) at(n int64) int64 { return s.run.Scan + n }

func (s *suite) completed(project int, scan int64, missing ...string) gitlab.Result {
	return gitlab.Result{
		Run: s.run.ID, Scan: s.at(scan), Project: s.projects[project], Status: gitlab.Completed, Missing: missing,
		Evidence: gitlab.Evidence{Method: "gitlab", Pages: 1, Listed: len(missing) + 1},
	}
}

func (s *suite) failed(project int, scan int64, reason string) gitlab.Result {
	return gitlab.Result{
		Run: s.run.ID, Scan: s.at(scan), Project: s.projects[project], Status: gitlab.Failed, Error: reason,
	}
}

func (s *suite) write(t *testing.T, results ...gitlab.Result) postgres.Written {
	t.Helper()
	written, err := s.DB.Write(t.Context(), s.run, results)
	if err != nil {
		t.Fatalf("Write: %v", err)
	}
	return written
}

func (s *suite) completedRow(project int, scan int64, names ...string) stored {
	return stored{
		Project: s.projects[project].ID, Run: s.run.ID, Status: "completed", Scan: s.at(scan),
		Missing: len(names), Names: strings.Join(names, ","),
	}
}

func (s *suite) failedRow(project int, scan int64, reason string) stored {
	return s.failedAgain(stored{
		Project: s.projects[project].ID, Run: s.run.ID, Status: "failed", Scan: s.at(scan),
	}, scan, reason, 1)
}

// failedAgain is row with a failure after it.
func (s *suite) failedAgain(row stored, scan int64, reason string, attempts int) stored {
	row.Failure, row.Error, row.Attempts, row.HasNext = s.at(scan), reason, attempts, true
	return row
}

func wantRows(t *testing.T, db *postgrestest.Database, want ...stored) {
	t.Helper()
	if diff := cmp.Diff(want, rows(t, db), cmpopts.EquateEmpty()); diff != "" {
		t.Errorf("rows (-want +got):\n%s", diff)
	}
}

func TestWriteCountsEachProjectOnce(t *testing.T) {
	s := newSuite(t, 4)
	s.write(t, s.completed(1, 9))
	foreign := s.completed(2, 5)
	foreign.Run++
	moved := s.completed(3, 5)
	moved.Project.FullPath = "Group/old"
	got := s.write(t, s.completed(0, 5, "a", "b"), s.failed(0, 6, "later"), s.completed(1, 5), foreign, moved)
	want := postgres.Written{Applied: 1, Superseded: 1, Discarded: 2}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("Write() (-want +got):\n%s", diff)
	}
	wantRows(t, s.Database, s.failedAgain(s.completedRow(0, 5, "a", "b"), 6, "later", 1), s.completedRow(1, 9))
}

func TestP5_OlderScanArrivingLastChangesNothing(t *testing.T) {
	s := newSuite(t, 1)
	s.write(t, s.completed(0, 7, "new"))
	if got := s.write(t, s.completed(0, 6, "old")); got.Superseded != 1 {
		t.Errorf("Write() of an older scan = %+v, want it superseded", got)
	}
	wantRows(t, s.Database, s.completedRow(0, 7, "new"))
}

func TestP5_FailedBeforeCompleted(t *testing.T) {
	s := newSuite(t, 1)
	s.write(t, s.failed(0, 4, "timeout"))
	wantRows(t, s.Database, s.failedRow(0, 4, "timeout"))
	s.write(t, s.completed(0, 5, "x"))
	wantRows(t, s.Database, s.completedRow(0, 5, "x"))
}

func TestP3_FailedAfterCompletedKeepsTheGoodRow(t *testing.T) {
	s := newSuite(t, 1)
	s.write(t, s.completed(0, 5, "x", "y"))
	s.write(t, s.failed(0, 6, "timeout"))
	s.write(t, s.failed(0, 8, "again"))
	wantRows(t, s.Database, s.failedAgain(s.completedRow(0, 5, "x", "y"), 8, "again", 2))
	s.write(t, s.completed(0, 9))
	wantRows(t, s.Database, s.completedRow(0, 9))
}

func TestP9_AttemptsGrowAndTheNextTryMovesAway(t *testing.T) {
	s := newSuite(t, 1)
	for n := range int64(14) {
		s.write(t, s.failed(0, n+1, "timeout"))
		minutes := min(float64(int64(1)<<n), 24*60)
		got := s.Value(t, `SELECT attempts || ' ' || (extract(epoch FROM next_attempt_at - updated_at) / 60 BETWEEN $1 AND $2)
			FROM regmend.data_repair_details`, minutes*0.5, minutes*1.5)
		if want := fmt.Sprintf("%d true", n+1); got != want {
			t.Errorf("after failure %d: attempts and whether the next try is in %v to %v minutes = %s, want %s",
				n+1, minutes*0.5, minutes*1.5, got, want)
		}
	}
}

func TestP5_ALostCommitReplyChangesNothing(t *testing.T) {
	s := newSuite(t, 2)
	results := []gitlab.Result{s.completed(0, 3, "x"), s.failed(0, 4, "later"), s.failed(1, 4, "timeout")}
	s.write(t, results...)
	before := s.Value(t, `SELECT string_agg(d::text, E'\n' ORDER BY project_id) FROM regmend.data_repair_details d`)
	got := s.write(t, results...)
	if want := (postgres.Written{Superseded: 2}); got != want {
		t.Errorf("second Write() = %+v, want %+v", got, want)
	}
	after := s.Value(t, `SELECT string_agg(d::text, E'\n' ORDER BY project_id) FROM regmend.data_repair_details d`)
	if before != after {
		t.Errorf("rows changed:\n%s\n%s", before, after)
	}
}

// model is the rule of the order of results, in words of its own: of a set of
// results of one project only the set counts.
func model(s *suite, results []gitlab.Result) stored {
	var c, f gitlab.Result
	for _, r := range results {
		if r.Status == gitlab.Completed && r.Scan > c.Scan {
			c = r
		}
		if r.Status == gitlab.Failed && r.Scan > f.Scan {
			f = r
		}
	}
	row := stored{Project: results[0].Project.ID, Run: s.run.ID}
	if c.Scan > 0 {
		row.Status, row.Scan, row.Missing, row.Names = "completed", c.Scan, len(c.Missing), strings.Join(c.Missing, ",")
	} else {
		row.Status, row.Scan = "failed", f.Scan
	}
	if f.Scan > c.Scan {
		row.Failure, row.Error, row.HasNext = f.Scan, f.Error, true
	}
	return row
}

// TestP5_AnyOrderAndPartitionGivesTheSameRows writes the same results in many
// orders, cut into writes at many places, some of them written twice.
func TestP5_AnyOrderAndPartitionGivesTheSameRows(t *testing.T) {
	s := newSuite(t, 4)
	random := rand.New(rand.NewPCG(1, 2))
	for round := range 60 {
		s.Exec(t, `DELETE FROM regmend.data_repair_details`)
		results := randomResults(s, random)
		for rest := results; len(rest) > 0; {
			n := 1 + random.IntN(len(rest))
			s.write(t, rest[:n]...)
			if random.IntN(4) == 0 {
				s.write(t, rest[:n]...)
			}
			rest = rest[n:]
		}
		got := rows(t, s.Database)
		for i := range got {
			// How many failures were seen one by one depends on the cut.
			if (got[i].Attempts > 0) != got[i].HasNext {
				t.Errorf("round %d: attempts = %d beside a next try: %v", round, got[i].Attempts, got[i].HasNext)
			}
			got[i].Attempts = 0
		}
		if diff := cmp.Diff(modelRows(s, results), got); diff != "" {
			t.Fatalf("round %d: rows (-want +got):\n%s\nresults in order: %+v", round, diff, results)
		}
	}
}

func randomResults(s *suite, random *rand.Rand) []gitlab.Result {
	var results []gitlab.Result
	for project := range s.projects {
		for _, scan := range random.Perm(6)[:1+random.IntN(5)] {
			if random.IntN(2) == 0 {
				results = append(results, s.failed(project, int64(scan+1), fmt.Sprintf("failure %d", scan)))
			} else {
				results = append(results, s.completed(project, int64(scan+1), names(scan)...))
			}
		}
	}
	random.Shuffle(len(results), func(i, j int) { results[i], results[j] = results[j], results[i] })
	return results
}

func names(n int) []string {
	var names []string
	for i := range n {
		names = append(names, fmt.Sprintf("image-%d-%d", n, i))
	}
	return names
}

func modelRows(s *suite, results []gitlab.Result) []stored {
	want := []stored{}
	for _, project := range s.projects {
		of := slices.DeleteFunc(slices.Clone(results), func(r gitlab.Result) bool { return r.Project != project })
		if len(of) > 0 {
			want = append(want, model(s, of))
		}
	}
	return want
}

func TestP2_RowsWithoutEvidenceAreReplacedByAnything(t *testing.T) {
	s := newSuite(t, 2)
	s.write(t, s.completed(0, 9, "x"), s.completed(1, 9, "y"))
	s.Exec(t, `ALTER TABLE regmend.data_repair_details DROP CONSTRAINT completed_has_evidence`)
	s.Exec(t, `UPDATE regmend.data_repair_details SET pages = NULL`)
	s.write(t, s.failed(0, 3, "timeout"), s.completed(1, 3, "z"))
	wantRows(t, s.Database, s.failedRow(0, 3, "timeout"), s.completedRow(1, 3, "z"))
}

func TestRowsOfAnotherRunAreReplacedByAnything(t *testing.T) {
	s := newSuite(t, 1)
	s.write(t, s.completed(0, 9, "x"))
	s.run = s.Run(t)
	s.Exec(t, `SELECT setval('regmend.scan_number', 5000)`)
	s.write(t, s.failed(0, 2, "timeout"))
	wantRows(t, s.Database, s.failedRow(0, 2, "timeout"))
}

func TestWriteForAnotherRunIsRefused(t *testing.T) {
	s := newSuite(t, 1)
	old := s.run
	s.Run(t)
	if _, err := s.DB.Write(t.Context(), old, []gitlab.Result{s.completed(0, 1)}); !errors.Is(err, postgres.ErrRunChanged) {
		t.Errorf("Write() for the run before = %v, want ErrRunChanged", err)
	}
	wantRows(t, s.Database)
}

func TestWriteAboveTheSequenceIsRefused(t *testing.T) {
	s := newSuite(t, 1)
	result := s.completed(0, 1)
	result.Scan = 1001
	if _, err := s.DB.Write(t.Context(), s.run, []gitlab.Result{result}); !errors.Is(err, postgres.ErrRunChanged) {
		t.Errorf("Write() of a number never given out = %v, want ErrRunChanged", err)
	}
	wantRows(t, s.Database)
}
