package postgres_test

import (
	"fmt"
	"testing"
	"time"

	"regmend/shared/gitlab"
	"regmend/shared/postgres"

	"golang.org/x/sync/errgroup"
)

// clean removes old versions, of all projects.
func (s *suite) clean(t *testing.T, newest int, age time.Duration) (total postgres.Retained) {
	t.Helper()
	for !total.End {
		step, err := s.DB.Retain(t.Context(), postgres.Settings{RetainSnapshots: newest, RetainSnapshotsFor: age}, total.Next)
		if err != nil {
			t.Fatal(err)
		}
		step.Versions, step.Contents = step.Versions+total.Versions, step.Contents+total.Contents
		total = step
	}
	return total
}

// numbers are the versions that a project has.
func (s *suite) numbers(t *testing.T, project int) string {
	t.Helper()
	return s.Value(t, `SELECT string_agg(number::text, ' ' ORDER BY number) FROM regmend.snapshots WHERE project_id = $1`, s.projects[project].ID)
}

// grown writes versions of the projects 0 and 1, which have all in common.
func (s *suite) grown(t *testing.T, versions int) {
	t.Helper()
	var names []string
	for n := range versions {
		names = append(names, fmt.Sprintf("r%03d", n))
		s.write(t, s.listed(0, int64(n+1), names...), s.listed(1, int64(n+1), names...))
	}
}

func TestOldVersionsAreRemovedByTheirNumber(t *testing.T) {
	s := newSuite(t, 3)
	s.grown(t, 6)
	s.write(t, s.listed(2, 1, "r000"))
	if got := s.clean(t, 6, 0); got.Versions+got.Contents != 0 {
		t.Errorf("Retain() of the newest 6 of 6 = %+v, want that nothing is removed", got)
	}
	// The first contents are needed by another project.
	if got := s.clean(t, 2, 0); got.Versions != 8 || got.Contents != 3 {
		t.Errorf("Retain() = %+v, want 8 versions and 3 contents removed", got)
	}
	if got := s.numbers(t, 0) + ", " + s.numbers(t, 1) + ", " + s.numbers(t, 2); got != "5 6, 5 6, 1" {
		t.Errorf("left are %s", got)
	}
	s.wantSound(t)
	s.write(t, s.listed(0, 20, "new"))
	if got := s.numbers(t, 0); got != "5 6 7" {
		t.Errorf("after one more there are %s", got)
	}
}

func TestOldVersionsAreRemovedByTheirAge(t *testing.T) {
	s := newSuite(t, 2)
	s.grown(t, 5)
	s.Exec(t, `UPDATE regmend.snapshots SET last_seen_at = now() - (5 - number) * interval '1 day' - interval '1 hour'`)
	s.clean(t, 10, 48*time.Hour)
	if got := s.numbers(t, 0); got != "4 5" {
		t.Errorf("left are %s, want those of the last two days", got)
	}
	s.Exec(t, `DELETE FROM regmend.data_repair_details WHERE project_id = $1`, s.projects[1].ID)
	s.clean(t, 10, time.Minute)
	if got := s.numbers(t, 0) + ", " + s.numbers(t, 1); got != "5, 5" {
		t.Errorf("left are %s, want the latest", got)
	}
	s.wantSound(t)
}

func TestAVersionThatIsCitedStays(t *testing.T) {
	s := newSuite(t, 2)
	s.grown(t, 5)
	s.Exec(t, `UPDATE regmend.data_repair_details SET snapshot = 2 WHERE project_id = $1`, s.projects[0].ID)
	s.clean(t, 1, time.Nanosecond)
	if got := s.numbers(t, 0) + ", " + s.numbers(t, 1); got != "2 5, 5" {
		t.Errorf("left are %s, want the latest ones and what is cited", got)
	}
	s.wantAgreement(t)
}

func TestAVersionThatARepairCitesStays(t *testing.T) {
	s := newSuite(t, 1)
	lost := s.listed(0, 1, "lost", "z")
	lost.Missing = []string{"lost"}
	s.write(t, lost)
	who := postgres.Who{Actor: "somebody", Host: "here"}
	if _, err := s.DB.MakePlan(t.Context(), s.run, postgres.PlanScope{Accepted: gitlab.Acceptable()}, who); err != nil {
		t.Fatal(err)
	}
	for scan := int64(2); scan <= 5; scan++ {
		s.write(t, s.listed(0, scan, fmt.Sprint("r", scan)))
	}
	s.clean(t, 1, 0)
	if got := s.numbers(t, 0); got != "1 5" {
		t.Errorf("left are %s, want the latest one and what the plan cites", got)
	}
	s.wantAgreement(t)
	s.Run(t) // in which the plan cannot be applied
	s.clean(t, 1, 0)
	if got := s.numbers(t, 0); got != "5" {
		t.Errorf("left are %s, want the latest one", got)
	}
}

func TestVersionsGoWithTheirProject(t *testing.T) {
	s := newSuite(t, 3)
	s.grown(t, 3)
	s.write(t, s.listed(2, 1, "of its own"))
	s.Exec(t, `DELETE FROM public.projects WHERE id = ANY (ARRAY[$1, $2]::bigint[])`, s.projects[0].ID, s.projects[2].ID)
	if got := s.clean(t, 10, 0); got.Versions != 4 || got.Contents != 1 {
		t.Errorf("Retain() = %+v, want 4 versions and the contents of one removed", got)
	}
	if got := s.numbers(t, 0) + "," + s.numbers(t, 1) + "," + s.numbers(t, 2); got != ",1 2 3," {
		t.Errorf("left are %s", got)
	}
	s.wantSound(t)
}

// What is removed is never what is just being written: contents that come back,
// versions that are added.
func TestCleaningUpIsSafeBesideWriters(t *testing.T) {
	s := newSuite(t, 12)
	const scans = 120
	var writers, cleaners errgroup.Group
	for writer := range 2 {
		writers.Go(func() error {
			for scan := range scans {
				var results []gitlab.Result
				for project := range s.projects {
					// Few contents, so that those which were just removed are written again.
					name := fmt.Sprintf("r%d-%d", project, (scan+writer)%3)
					results = append(results, s.listed(project, int64(2*scan+writer+1), name, "z"))
				}
				written, err := s.DB.Write(t.Context(), s.run, results)
				if err != nil || written.Failed > 0 {
					return fmt.Errorf("scan %d: %+v, %w", scan, written, err)
				}
			}
			return nil
		})
	}
	written := make(chan struct{})
	var removed, contents int64
	cleaners.Go(func() error {
		for {
			r, err := s.DB.Retain(t.Context(), postgres.Settings{RetainSnapshots: 1}, 0)
			if err != nil {
				return err
			}
			removed, contents = removed+r.Versions, contents+r.Contents
			select {
			case <-written:
				return nil
			default:
			}
		}
	})
	err := writers.Wait()
	close(written)
	if err != nil {
		t.Error(err)
	}
	if err := cleaners.Wait(); err != nil {
		t.Fatal(err)
	}
	if removed < scans || contents == 0 {
		t.Errorf("%d versions and %d contents were removed: too few to prove anything", removed, contents)
	}
	s.wantSound(t)
	s.wantAgreement(t)
}
