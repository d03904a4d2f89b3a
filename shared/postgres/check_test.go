package postgres_test

import (
	"slices"
	"strings"
	"testing"

	"regmend/shared/postgres"

	"github.com/google/go-cmp/cmp"
)

// disagreements are what Check finds.
func (s *suite) disagreements(t *testing.T) (found []postgres.Disagreement) {
	t.Helper()
	_, err := s.DB.Check(t.Context(), postgres.Settings{RetainSnapshots: 10}, func(d postgres.Disagreement) error {
		found = append(found, d)
		return nil
	}, func(postgres.Checked) {})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

func (s *suite) wantAgreement(t *testing.T) {
	t.Helper()
	if found := s.disagreements(t); len(found) > 0 {
		t.Errorf("Check() finds %+v", found)
	}
}

func TestCheckFindsWhatDoesNotAgree(t *testing.T) {
	const anyProject = 0
	for name, test := range map[string]struct {
		damage  string
		project int // from 1 on
		want    string
	}{
		"a count that drifted": {
			`UPDATE regmend.data_repair_details SET missing_count = 2 WHERE project_id = $1`, 1,
			"missing_count is 2, but 1 repositories are recorded as missing",
		},
		"a missing repository lost": {
			`DELETE FROM regmend.missing_repositories WHERE project_id = $1`, 1,
			"missing_count is 1, but 0 repositories are recorded as missing",
		},
		"a missing repository that was not listed": {
			`UPDATE regmend.missing_repositories SET name = 'foreign' WHERE project_id = $1`, 1,
			"1 repositories are recorded as missing that version 3 does not list, such as 'foreign'",
		},
		"the root, which was not listed": {
			`UPDATE regmend.missing_repositories SET name = '' WHERE project_id = $1`, 1,
			"1 repositories are recorded as missing that version 3 does not list, such as ''",
		},
		"a result of a version that is not there": {
			`UPDATE regmend.data_repair_details SET snapshot = 4 WHERE project_id = $1`, 1,
			"its result is of version 4, which is not there",
		},
		"a version lost in the middle": {
			`DELETE FROM regmend.snapshots WHERE project_id = $1 AND number = 2`, 1,
			"version 1 is followed by 3: what was between is gone",
		},
		"contents lost": {
			`WITH damaged AS (SELECT digest FROM regmend.snapshots WHERE project_id = $1 AND number = 2)
			 DELETE FROM regmend.snapshot_contents c USING damaged d WHERE c.digest = d.digest`, 1,
			"version 2 lists 2 repositories, its contents are not there",
		},
		"a version of another length": {
			`UPDATE regmend.snapshots SET listed = 5 WHERE project_id = $1 AND number = 2`, 1,
			"version 2 lists 5 repositories, its contents 2",
		},
		"the same twice": {
			`UPDATE regmend.snapshots s SET digest = o.digest, listed = o.listed FROM regmend.snapshots o
			 WHERE s.project_id = $1 AND o.project_id = $1 AND s.number = 2 AND o.number = 1`, 1,
			"versions 1 and 2 are the same",
		},
		"an older one above a newer": {
			`UPDATE regmend.snapshots SET last_scan_number = last_scan_number + 100 WHERE project_id = $1 AND number = 2`, 1,
			"but version 3, which is above it, already by scan",
		},
		"contents changed": {
			`WITH damaged AS (SELECT digest FROM regmend.snapshots WHERE project_id = $1 AND number = 3)
			 UPDATE regmend.snapshot_contents c SET names = replace(names, 'c', 'x') FROM damaged d WHERE c.digest = d.digest`, anyProject,
			"they have the digest",
		},
		"contents out of order": {
			`INSERT INTO regmend.snapshot_contents SELECT sha256(convert_to(names, 'UTF8')), 2, names FROM (VALUES (E'b\na\n')) AS n (names) WHERE $1 > 0`, anyProject,
			"not the canonical form of a set of names",
		},
		"contents of another length": {
			`WITH damaged AS (SELECT digest FROM regmend.snapshots WHERE project_id = $1 AND number = 3)
			 UPDATE regmend.snapshot_contents c SET listed = 9 FROM damaged d WHERE c.digest = d.digest`, anyProject,
			"they list 3 repositories, not 9",
		},
		"contents that are nobody's": {
			`INSERT INTO regmend.snapshot_contents SELECT sha256(convert_to(names, 'UTF8')), 1, names FROM (VALUES (E'b\n')) AS n (names) WHERE $1 > 0`, anyProject,
			"no version has them",
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSuite(t, 2)
			s.write(t, s.listed(0, 1, "a"), s.listed(1, 1, ""))
			s.write(t, s.listed(0, 2, "a", "b"), s.listed(1, 2))
			s.write(t, lacking(s.listed(0, 3, "a", "b", "c"), "c"), lacking(s.listed(1, 3, "", "x"), ""))
			s.wantAgreement(t)
			s.Exec(t, `ALTER TABLE regmend.snapshots DROP CONSTRAINT snapshots_digest_fkey`)
			s.Exec(t, `ALTER TABLE regmend.snapshot_contents DROP CONSTRAINT digest_is_of_names, DROP CONSTRAINT listed_is_of_names`)
			s.Exec(t, test.damage, s.projects[0].ID)
			found := s.disagreements(t)
			if !slices.ContainsFunc(found, func(d postgres.Disagreement) bool {
				return strings.Contains(d.What, test.want) && (d.ProjectID != 0) == (test.project > 0)
			}) {
				t.Errorf("Check() finds %+v, want %q", found, test.want)
			}
			for _, d := range found {
				if d.ProjectID == s.projects[1].ID {
					t.Errorf("Check() finds %q of a project that is whole", d.What)
				}
			}
		})
	}
}

func TestCheckWalksEverything(t *testing.T) {
	s := newCrowd(t, 30)
	s.write(t, s.crowd(2, 0, 30, 11)...)
	checked, err := s.DB.Check(t.Context(), postgres.Settings{RetainSnapshots: 10},
		func(d postgres.Disagreement) error { t.Errorf("Check() finds %+v", d); return nil }, func(postgres.Checked) {})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(postgres.Checked{Results: 30, Versions: 60, Contents: 2}, checked); diff != "" {
		t.Errorf("Check() (-want +got):\n%s", diff)
	}
}
