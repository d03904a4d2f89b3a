package postgres_test

import (
	"fmt"
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
