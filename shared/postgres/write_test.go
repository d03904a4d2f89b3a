package postgres_test

import (
	"errors"
	"fmt"
	"testing"

	"regmend/shared/gitlab"
	"regmend/shared/postgres"

	"github.com/google/go-cmp/cmp"
)

func TestWriteCountsEachProjectOnce(t *testing.T) {
	t.Parallel()
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
	t.Parallel()
	s := newSuite(t, 1)
	s.write(t, s.completed(0, 7, "new"))
	if got := s.write(t, s.completed(0, 6, "old")); got.Superseded != 1 {
		t.Errorf("Write() of an older scan = %+v, want it superseded", got)
	}
	wantRows(t, s.Database, s.completedRow(0, 7, "new"))
}

func TestP5_FailedBeforeCompleted(t *testing.T) {
	t.Parallel()
	s := newSuite(t, 1)
	s.write(t, s.failed(0, 4, "timeout"))
	wantRows(t, s.Database, s.failedRow(0, 4, "timeout"))
	s.write(t, s.completed(0, 5, "x"))
	wantRows(t, s.Database, s.completedRow(0, 5, "x"))
}

func TestP3_FailedAfterCompletedKeepsTheGoodRow(t *testing.T) {
	t.Parallel()
	s := newSuite(t, 1)
	s.write(t, s.completed(0, 5, "x", "y"))
	s.write(t, s.failed(0, 6, "timeout"))
	s.write(t, s.failed(0, 8, "again"))
	wantRows(t, s.Database, s.failedAgain(s.completedRow(0, 5, "x", "y"), 8, "again", 2))
	s.write(t, s.completed(0, 9))
	wantRows(t, s.Database, s.completedRow(0, 9))
}

func TestP9_AttemptsGrowAndTheNextTryMovesAway(t *testing.T) {
	t.Parallel()
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
	t.Parallel()
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

func TestP2_RowsWithoutEvidenceAreReplacedByAnything(t *testing.T) {
	t.Parallel()
	s := newSuite(t, 2)
	s.write(t, s.completed(0, 9, "x"), s.completed(1, 9, "y"))
	s.Exec(t, `ALTER TABLE regmend.data_repair_details DROP CONSTRAINT completed_has_evidence`)
	s.Exec(t, `UPDATE regmend.data_repair_details SET pages = NULL`)
	s.write(t, s.failed(0, 3, "timeout"), s.completed(1, 3, "z"))
	wantRows(t, s.Database, s.failedRow(0, 3, "timeout"), s.completedRow(1, 3, "z"))
}

func TestRowsOfAnotherRunAreReplacedByAnything(t *testing.T) {
	t.Parallel()
	s := newSuite(t, 1)
	s.write(t, s.completed(0, 9, "x"))
	s.run = s.Run(t)
	s.Exec(t, `SELECT setval('regmend.scan_number', 5000)`)
	s.write(t, s.failed(0, 2, "timeout"))
	wantRows(t, s.Database, s.failedRow(0, 2, "timeout"))
}

func TestWriteForAnotherRunIsRefused(t *testing.T) {
	t.Parallel()
	s := newSuite(t, 1)
	old := s.run
	s.Run(t)
	if _, err := s.DB.Write(t.Context(), old, []gitlab.Result{s.completed(0, 1)}); !errors.Is(err, postgres.ErrRunChanged) {
		t.Errorf("Write() for the run before = %v, want ErrRunChanged", err)
	}
	wantRows(t, s.Database)
}

func TestWriteAboveTheSequenceIsRefused(t *testing.T) {
	t.Parallel()
	s := newSuite(t, 1)
	result := s.completed(0, 1)
	result.Scan = 1001
	if _, err := s.DB.Write(t.Context(), s.run, []gitlab.Result{result}); !errors.Is(err, postgres.ErrRunChanged) {
		t.Errorf("Write() of a number never given out = %v, want ErrRunChanged", err)
	}
	wantRows(t, s.Database)
}
