package postgres_test

import (
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"regmend/shared/gitlab"

	"github.com/google/go-cmp/cmp"
)

// hostile are texts that would do harm where they are not taken for text.
func hostile() []string {
	return []string{
		`'); DROP TABLE regmend.data_repair_details; --`,
		`" OR ""="`, `{a,"b"}`, `\x00'`, `$1`, `%s%n`, `NULL`, `\`, `<script>alert(1)</script>`, `=cmd|' /C calc'!A0`,
	}
}

func TestHostileTextIsStoredAsText(t *testing.T) {
	s := newSuite(t, 2)
	reason := strings.Join(hostile(), " ")
	s.write(t, s.completed(0, 1, hostile()...), s.failed(1, 2, reason))
	var names []string
	if err := s.SQL.SelectContext(t.Context(), &names, `SELECT name FROM regmend.missing_repositories ORDER BY name COLLATE "C"`); err != nil {
		t.Fatal(err)
	}
	want := hostile()
	missing, err := s.DB.Show(t.Context(), s.run, s.projects[0].FullPath)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(slices.Sorted(slices.Values(want)), names); diff != "" || len(missing.Missing) != len(want) {
		t.Errorf("names (-want +got):\n%s", diff)
	}
	if got := s.Value(t, `SELECT error FROM regmend.data_repair_details WHERE project_id = $1`, s.projects[1].ID); got != reason {
		t.Errorf("error = %q, want %q", got, reason)
	}
	for _, text := range hostile() {
		if _, err := s.DB.Show(t.Context(), s.run, text); err == nil {
			t.Errorf("a project was found by %q", text)
		}
	}
}

// Nobody but a foreign hand in Redis makes such results; they must neither be
// written nor keep others from it.
func TestForgedResultsAreNotWritten(t *testing.T) {
	for fact, forge := range map[string]func(*gitlab.Result){
		"of a project that does not exist": func(r *gitlab.Result) { r.Project.ID = 1 << 40 },
		"of project 0":                     func(r *gitlab.Result) { r.Project.ID = 0 },
		"of a negative project":            func(r *gitlab.Result) { r.Project.ID = -1 },
		"of another path":                  func(r *gitlab.Result) { r.Project.FullPath = "Group/other" },
		"of another run":                   func(r *gitlab.Result) { r.Run++ },
		"from before the run":              func(r *gitlab.Result) { r.Scan = 1 },
		"of an unknown status":             func(r *gitlab.Result) { r.Status = "pending" },
	} {
		t.Run(fact, func(t *testing.T) {
			s := newSuite(t, 2)
			bad := s.completed(0, 5, "x")
			forge(&bad)
			s.write(t, bad, s.completed(1, 6))
			wantRows(t, s.Database, s.completedRow(1, 6))
		})
	}
}

// A completed row has evidence, whoever says that the project was completed.
func TestForgedResultsWithoutEvidenceAreFailures(t *testing.T) {
	for fact, forge := range map[string]func(*gitlab.Result){
		"no method":                    func(r *gitlab.Result) { r.Method = "" },
		"no page":                      func(r *gitlab.Result) { r.Pages = 0 },
		"more missing than listed":     func(r *gitlab.Result) { r.Listed = 0 },
		"more pages than there can be": func(r *gitlab.Result) { r.Pages = 1 << 40 },
		"a name with a NUL":            func(r *gitlab.Result) { r.Missing[0] = "a\x00b" },
		"a name twice":                 func(r *gitlab.Result) { r.Missing = []string{"x", "x"}; r.Listed = 2 },
		"a name too long for an index": func(r *gitlab.Result) { r.Missing[0] = noise(100_000) },
	} {
		t.Run(fact, func(t *testing.T) {
			s := newSuite(t, 2)
			bad := s.completed(0, 5, "x")
			forge(&bad)
			s.write(t, bad, s.completed(1, 6))
			got := rows(t, s.Database)
			if len(got) != 2 || got[0].Status != "failed" || !strings.HasPrefix(got[0].Error, "its result could not be stored") {
				t.Fatalf("rows = %+v, want a failure and the other's row", got)
			}
			if diff := cmp.Diff(s.completedRow(1, 6), got[1]); diff != "" {
				t.Errorf("the other's row (-want +got):\n%s", diff)
			}
		})
	}
}

// noise is text that cannot be compressed, so that it is as long as it is.
func noise(n int) string {
	var b strings.Builder
	for range n {
		b.WriteByte(byte('a' + rand.IntN(26)))
	}
	return b.String()
}
