package postgres_test

import (
	"errors"
	"fmt"
	"slices"
	"testing"

	"regmend/shared/gitlab"
	"regmend/shared/postgres"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sync/errgroup"
)

// listed is a completed scan that listed these repositories, all of them with a
// row.
func (s *suite) listed(project int, scan int64, names ...string) gitlab.Result {
	r := s.completed(project, scan)
	r.Names = append([]string{}, names...)
	r.Listed = len(names)
	return r
}

// lacking is r with some of its repositories missing.
func lacking(r gitlab.Result, missing ...string) gitlab.Result {
	r.Missing = missing
	return r
}

// kept is a version as it is kept.
type kept struct {
	Project  int64  `db:"project_id"`
	Number   int    `db:"number"`
	Names    string `db:"names"`
	Listed   int    `db:"listed"`
	Scan     int64  `db:"scan_number"`
	LastScan int64  `db:"last_scan_number"`
}

func (s *suite) kept(project, number int, scan, lastScan int64, names ...string) kept {
	return kept{s.projects[project].ID, number, gitlab.Canonical(names), len(names), s.at(scan), s.at(lastScan)}
}

func (s *suite) wantVersions(t *testing.T, want ...kept) {
	t.Helper()
	var got []kept
	err := s.SQL.SelectContext(t.Context(), &got, `
		SELECT s.project_id, s.number, coalesce(c.names, '') AS names, s.listed, s.scan_number, s.last_scan_number
		FROM regmend.snapshots s LEFT JOIN regmend.snapshot_contents c USING (digest)
		ORDER BY s.project_id, s.number`)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("versions (-want +got):\n%s", diff)
	}
}

// wantTold checks which version the project's row says its listing is; ” is none.
func (s *suite) wantTold(t *testing.T, project int, want string) {
	t.Helper()
	got := s.Value(t, `SELECT snapshot FROM regmend.data_repair_details WHERE project_id = $1`, s.projects[project].ID)
	if got != want {
		t.Errorf("the row of project %d tells of version %q, want %q", project, got, want)
	}
}

func TestAListingIsAVersionOfWhatItsProjectLists(t *testing.T) {
	s := newSuite(t, 4)
	s.write(t, s.listed(0, 1, "", "a"), s.listed(1, 1, "", "a"), s.listed(2, 1), s.completed(3, 1, "x"))
	s.wantVersions(t, s.kept(0, 1, 1, 1, "", "a"), s.kept(1, 1, 1, 1, "", "a"))
	s.wantTold(t, 0, "1")
	s.wantTold(t, 2, "")
	s.wantTold(t, 3, "")
	if got := s.Value(t, `SELECT count(*) FROM regmend.snapshot_contents`); got != "1" {
		t.Errorf("equal contents are kept %s times", got)
	}

	s.write(t, s.listed(0, 2, "", "a"), s.listed(1, 2, "a"), s.listed(2, 2, "new"), s.listed(3, 2))
	s.wantVersions(t, s.kept(0, 1, 1, 2, "", "a"),
		s.kept(1, 1, 1, 1, "", "a"), s.kept(1, 2, 2, 2, "a"), s.kept(2, 1, 2, 2, "new"))
	for project, version := range []string{"1", "2", "1", ""} {
		s.wantTold(t, project, version)
	}

	s.write(t, s.listed(1, 3))
	s.write(t, s.listed(1, 4))
	s.write(t, lacking(s.listed(1, 5, "", "a"), "a"))
	s.wantVersions(t, s.kept(0, 1, 1, 2, "", "a"),
		s.kept(1, 1, 1, 1, "", "a"), s.kept(1, 2, 2, 2, "a"), s.kept(1, 3, 3, 4), s.kept(1, 4, 5, 5, "", "a"),
		s.kept(2, 1, 2, 2, "new"))
	s.wantTold(t, 1, "4")
}

// Which version its listing is, a first result says as it is inserted: a row that
// is updated at once costs as much again.
func TestAFirstResultIsWrittenOnce(t *testing.T) {
	s := newSuite(t, 3)
	s.write(t, s.listed(0, 1, "", "a"), s.listed(1, 1), s.completed(2, 1, "x"))
	if got := s.Value(t, `SELECT string_agg(ctid::text, ' ' ORDER BY ctid) FROM regmend.data_repair_details`); got != "(0,1) (0,2) (0,3)" {
		t.Errorf("the rows are at %s: some were written twice", got)
	}
}

func TestWhatIsNotAppliedIsNoVersion(t *testing.T) {
	s := newSuite(t, 6)
	s.write(t, s.listed(0, 7, "new"), s.listed(1, 7, "a"))
	foreign, moved := s.listed(2, 8, "x"), s.listed(3, 8, "x")
	foreign.Run++
	moved.Project.FullPath = "Group/old"
	s.Exec(t, `UPDATE public.projects SET pending_delete = true WHERE id = $1`, s.projects[4].ID)
	unstorable := lacking(s.listed(5, 8, "x", "y"), "y", "y", "y")
	s.write(t, s.listed(0, 6, "old"), s.failed(1, 8, "timeout"), foreign, moved, s.listed(4, 8, "x"), unstorable)
	s.wantVersions(t, s.kept(0, 1, 7, 7, "new"), s.kept(1, 1, 7, 7, "a"))
	s.wantTold(t, 0, "1")
	s.wantTold(t, 1, "1")

	again := []gitlab.Result{s.listed(0, 9, "b"), s.listed(1, 9, "a")}
	s.write(t, again...)
	before := s.Value(t, `SELECT string_agg(v::text, E'\n' ORDER BY v) FROM regmend.snapshots v`)
	s.write(t, again...)
	if after := s.Value(t, `SELECT string_agg(v::text, E'\n' ORDER BY v) FROM regmend.snapshots v`); after != before {
		t.Errorf("written twice the versions are\n%s\nand were\n%s", after, before)
	}
}

// A look that came later, whose row there is not yet, was written above.
func TestAnOlderListingIsNotPutAboveANewerOne(t *testing.T) {
	s := newSuite(t, 2)
	s.write(t, s.listed(0, 5, "a"), s.listed(1, 5, "a"))
	s.Exec(t, `DELETE FROM regmend.data_repair_details`)
	s.write(t, s.listed(0, 4, "b"), s.listed(1, 4, "a"))
	s.wantVersions(t, s.kept(0, 1, 5, 5, "a"), s.kept(1, 1, 5, 5, "a"))
	s.wantTold(t, 0, "")
	s.wantTold(t, 1, "1")
	s.write(t, s.listed(0, 6, "b"))
	s.wantVersions(t, s.kept(0, 1, 5, 5, "a"), s.kept(0, 2, 6, 6, "b"), s.kept(1, 1, 5, 5, "a"))
	s.wantTold(t, 0, "2")
}

func TestContentsThatAreRefusedHoldNobodyUp(t *testing.T) {
	s := newSuite(t, 5)
	var results []gitlab.Result
	for project := range s.projects {
		results = append(results, s.listed(project, 1, "a", fmt.Sprint("b", project)))
	}
	for name, names := range map[string][]string{
		"a zero byte": {"a\x00b"}, "not UTF-8": {"\xff"}, "a newline": {"a\nb"},
	} {
		t.Run(name, func(t *testing.T) {
			s.Exec(t, `TRUNCATE regmend.data_repair_details, regmend.missing_repositories, regmend.young_repositories, regmend.snapshots, regmend.snapshot_contents`)
			results[2].Names = names
			if got, want := s.write(t, results...), (postgres.Written{Applied: 4, Failed: 1}); got != want {
				t.Errorf("Write() = %+v, want %+v", got, want)
			}
			s.wantVersions(t, s.kept(0, 1, 1, 1, "a", "b0"), s.kept(1, 1, 1, 1, "a", "b1"),
				s.kept(3, 1, 1, 1, "a", "b3"), s.kept(4, 1, 1, 1, "a", "b4"))
		})
	}
}

// What writes a version without having its row's lock, races: one wins, the other
// reads again, and decides anew.
func TestOfTwoThatWriteAVersionAtOnceNoneIsLost(t *testing.T) {
	for name, test := range map[string]struct {
		theirs string
		want   []string
	}{
		"of different listings": {"theirs", []string{"first", "theirs", "ours"}},
		"of equal ones":         {"ours", []string{"first", "ours"}},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSuite(t, 1)
			s.write(t, s.listed(0, 1, "first"))
			other := s.SQL.MustBegin()
			digest := gitlab.Digest([]string{test.theirs})
			other.MustExec(`INSERT INTO regmend.snapshot_contents VALUES ($1, 1, $2)`, digest[:], test.theirs+"\n")
			other.MustExec(`INSERT INTO regmend.snapshots (project_id, number, digest, listed, run_id, scan_number, last_scan_number)
				VALUES ($1, 2, $2, 1, $3, $4, $4)`, s.projects[0].ID, digest[:], s.run.ID, s.at(2))
			var flush errgroup.Group
			flush.Go(func() error {
				_, err := s.DB.Write(t.Context(), s.run, []gitlab.Result{s.listed(0, 3, "ours")})
				return err
			})
			until(t, "the flush to wait", func() bool { return waiting(t, s.Database) })
			if err := errors.Join(other.Commit(), flush.Wait()); err != nil {
				t.Fatal(err)
			}
			want := []kept{s.kept(0, 1, 1, 1, test.want[0])}
			for i, name := range test.want[1:] {
				scan := int64(i + 2)
				want = append(want, s.kept(0, i+2, scan, scan, name))
			}
			if len(test.want) == 2 {
				want[1].LastScan = s.at(3)
			}
			s.wantVersions(t, want...)
			s.wantTold(t, 0, fmt.Sprint(len(test.want)))
		})
	}
}

func TestFlushesAtOnceNumberEachVersionOnce(t *testing.T) {
	s := newSuite(t, 20)
	const writers, scans = 4, 12
	var group errgroup.Group
	for writer := range writers {
		group.Go(func() error {
			for scan := range scans {
				var results []gitlab.Result
				for project := range s.projects {
					n := int64(scan*writers + writer + 1)
					results = append(results, s.listed(project, n, "a", "b", fmt.Sprintf("of-scan-%02d", n/2)))
				}
				if writer%2 == 1 {
					slices.Reverse(results)
				}
				if _, err := s.DB.Write(t.Context(), s.run, results); err != nil {
					return err
				}
			}
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		t.Fatal(err)
	}
	s.wantSound(t)
	last := gitlab.Canonical([]string{"a", "b", fmt.Sprintf("of-scan-%02d", writers*scans/2)})
	for project := range s.projects {
		got := s.Value(t, `SELECT c.names FROM regmend.data_repair_details d
			JOIN regmend.snapshots s ON s.project_id = d.project_id AND s.number = d.snapshot
			JOIN regmend.snapshot_contents c USING (digest) WHERE d.project_id = $1`, s.projects[project].ID)
		if got != last {
			t.Errorf("project %d: the row's version is %q, want that of the last scan, %q", project, got, last)
		}
	}
}

// wantSound checks that of each project's versions no number is left out, that
// they are in the order of their scans, no two that follow each other are equal,
// and the row tells of the latest.
func (s *suite) wantSound(t *testing.T) {
	t.Helper()
	for name, query := range map[string]string{
		"gaps": `SELECT count(*) FROM (SELECT project_id FROM regmend.snapshots GROUP BY project_id
			HAVING max(number) - min(number) + 1 <> count(*)) AS g`,
		"older ones above": `SELECT count(*) FROM regmend.snapshots a JOIN regmend.snapshots b USING (project_id)
			WHERE b.number = a.number + 1 AND b.scan_number <= a.last_scan_number`,
		"equal ones": `SELECT count(*) FROM regmend.snapshots a JOIN regmend.snapshots b USING (project_id)
			WHERE b.number = a.number + 1 AND b.digest IS NOT DISTINCT FROM a.digest`,
		"rows of others": `SELECT count(*) FROM regmend.data_repair_details d
			WHERE snapshot IS DISTINCT FROM (SELECT max(number) FROM regmend.snapshots s WHERE s.project_id = d.project_id)`,
		"contents of none": `SELECT count(*) FROM regmend.snapshot_contents c
			WHERE NOT EXISTS (SELECT FROM regmend.snapshots s WHERE s.digest = c.digest)`,
	} {
		if got := s.Value(t, query); got != "0" {
			t.Errorf("%s: %s, want 0", name, got)
		}
	}
}
