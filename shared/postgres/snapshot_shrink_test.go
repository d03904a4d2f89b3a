package postgres_test

import (
	"errors"
	"fmt"
	"testing"

	"regmend/shared/gitlab"
	"regmend/shared/postgres"
)

// crowd is a suite of so many projects, all of which have listed ten
// repositories in scan 1.
func newCrowd(t *testing.T, projects int) *suite {
	t.Helper()
	s := newSuite(t, 0)
	for i := range projects {
		path := fmt.Sprintf("Group/app-%03d", i)
		s.projects = append(s.projects, gitlab.Project{ID: s.Project(t, path), FullPath: path})
	}
	s.write(t, s.crowd(1, 0, projects, 10)...)
	return s
}

// crowd are results of the projects from from on, which list so many
// repositories.
func (s *suite) crowd(scan int64, from, to, repositories int) (results []gitlab.Result) {
	for project := from; project < to; project++ {
		var names []string
		for i := range repositories {
			names = append(names, fmt.Sprintf("r%03d", i))
		}
		results = append(results, s.listed(project, scan, names...))
	}
	return results
}

// flush writes and tells whether that was refused because listings shrank.
func (s *suite) flush(t *testing.T, results []gitlab.Result) *postgres.ShrunkError {
	t.Helper()
	_, err := s.DB.Write(t.Context(), s.run, results)
	var shrunk *postgres.ShrunkError
	if err != nil && !errors.As(err, &shrunk) {
		t.Fatal(err)
	}
	return shrunk
}

func (s *suite) everything(t *testing.T) string {
	t.Helper()
	return s.Value(t, `SELECT md5(
		(SELECT string_agg(d::text, ' ' ORDER BY project_id) FROM regmend.data_repair_details d) ||
		(SELECT string_agg(s::text, ' ' ORDER BY project_id, number) FROM regmend.snapshots s) ||
		(SELECT string_agg(c::text, ' ' ORDER BY digest) FROM regmend.snapshot_contents c) ||
		coalesce((SELECT string_agg(t::text, ' ' ORDER BY run_id) FROM regmend.shrinkage t), ''))`)
}

func TestOfListingsThatShrinkForManyProjectsNothingIsWritten(t *testing.T) {
	s := newCrowd(t, 60)
	results := append(s.crowd(2, 0, 25, 4), s.crowd(2, 25, 60, 10)...)
	before := s.everything(t)
	for range 2 {
		shrunk := s.flush(t, results)
		if shrunk == nil {
			t.Fatal("Write() took it")
		}
		if shrunk.Shrunk != 25 || shrunk.Compared != 60 || shrunk.Share != 50 || shrunk.Before != 10 || shrunk.Now != 4 {
			t.Errorf("Write() = %+v, want 25 of 60, and from 10 to 4", shrunk)
		}
		if after := s.everything(t); after != before {
			t.Error("something was written")
		}
	}
	if err := s.DB.AcceptShrunk(t.Context(), s.run, "alice"); err != nil {
		t.Fatal(err)
	}
	if s.flush(t, results) != nil || s.flush(t, s.crowd(3, 0, 60, 0)) != nil {
		t.Error("Write() refused it after it was accepted")
	}
	if got := s.Value(t, `SELECT count(*) FROM regmend.snapshots WHERE listed = 0`); got != "60" {
		t.Errorf("%s projects turned empty, want 60", got)
	}
	// Another run has to be asked again.
	s.run = s.Run(t)
	s.Exec(t, `SELECT setval('regmend.scan_number', 5000)`)
	s.write(t, s.crowd(100, 0, 60, 10)...)
	if s.flush(t, s.crowd(101, 0, 60, 1)) == nil {
		t.Error("what was accepted in one run is taken in the next")
	}
}

// A fresh result beside those that shrank is not written, either.
func TestWhatIsScannedBesideListingsThatShrinkWaits(t *testing.T) {
	s := newCrowd(t, 31)
	s.Exec(t, `DELETE FROM regmend.snapshots WHERE project_id = $1`, s.projects[30].ID)
	s.Exec(t, `DELETE FROM regmend.data_repair_details WHERE project_id = $1`, s.projects[30].ID)
	before := s.everything(t)
	if s.flush(t, append(s.crowd(2, 0, 30, 0), s.listed(30, 2, "new"))) == nil || s.everything(t) != before {
		t.Error("a fresh result was written")
	}
}

func TestFewListingsThatShrinkHoldNobodyUp(t *testing.T) {
	for name, test := range map[string]struct {
		shrunk, all, to int
		setting         string
	}{
		"fewer than twenty, though all":      {19, 19, 0, "50"},
		"twenty of very many":                {20, 100, 0, "50"},
		"many, by no more than the share":    {60, 60, 5, "50"},
		"many, with a larger share":          {60, 60, 2, "80"},
		"many, where that is never too much": {60, 60, 0, "100"},
	} {
		t.Run(name, func(t *testing.T) {
			s := newCrowd(t, test.all)
			if _, err := s.DB.Set(t.Context(), "shrink_share", test.setting, "test"); err != nil {
				t.Fatal(err)
			}
			if shrunk := s.flush(t, append(s.crowd(2, 0, test.shrunk, test.to), s.crowd(2, test.shrunk, test.all, 10)...)); shrunk != nil {
				t.Errorf("Write() = %v", shrunk)
			}
		})
	}
}

// In small flushes it is noticed as well, also after a long time in which
// nothing shrank.
func TestListingsThatShrinkOneAfterTheOtherAreNoticed(t *testing.T) {
	for name, healthy := range map[string]int{"from the first on": 0, "after many that did not": 300} {
		t.Run(name, func(t *testing.T) {
			s := newCrowd(t, 100)
			scan := int64(2)
			for range healthy / 100 {
				s.write(t, s.crowd(scan, 0, 100, 10)...)
				scan++
			}
			written := 0
			for ; written < 100; written += 4 {
				if s.flush(t, append(s.crowd(scan, written, written+3, 1), s.crowd(scan, written+3, written+4, 10)...)) != nil {
					break
				}
			}
			if shrunk := written * 3 / 4; shrunk < 15 || shrunk > 40 {
				t.Errorf("it was noticed after %d that shrank, want 20 to 40", shrunk)
			}
			s.wantSound(t)
			s.run = s.Run(t) // which forgets
			s.Exec(t, `SELECT setval('regmend.scan_number', 5000)`)
			if shrunk := s.flush(t, s.crowd(scan+1, 96, 100, 1)); shrunk != nil {
				t.Errorf("in the next run Write() = %v", shrunk)
			}
		})
	}
}
