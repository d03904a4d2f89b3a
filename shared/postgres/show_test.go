package postgres_test

import (
	"errors"
	"fmt"
	"testing"

	"regmend/shared/gitlab"
	"regmend/shared/postgres"

	"github.com/google/go-cmp/cmp"
)

func TestShow(t *testing.T) {
	t.Parallel()
	s := newSuite(t, 2)
	s.write(t, s.completed(0, 5, "web"), s.failed(0, 6, "timeout"))
	for _, name := range []string{"Group/app-a", "group/APP-a", fmt.Sprint(s.projects[0].ID)} {
		got, err := s.DB.Show(t.Context(), s.run, name)
		if err != nil || !got.Recorded || !got.Trusted || !got.Eligible || got.Project != s.projects[0] || got.Scan != s.at(5) ||
			got.Method != "gitlab" || got.Pages != 1 || got.Listed != 2 || got.ListedPath != "Group/app-a" ||
			!cmp.Equal(got.Missing, []string{"web"}) || got.Failure.Error != "timeout" || got.Status != gitlab.Completed {
			t.Errorf("Show(%s) = %+v, %v", name, got, err)
		}
	}
	got, err := s.DB.Show(t.Context(), s.Run(t), "Group/app-a")
	if err != nil || !got.Recorded || got.Trusted || got.Run != s.run.ID {
		t.Errorf("Show() in the next run = %+v, %v, want the old result, marked", got, err)
	}
	got, err = s.DB.Show(t.Context(), s.run, "Group/app-b")
	if err != nil || got.Recorded || got.Trusted || got.Project != s.projects[1] || got.Status != "" || !got.UpdatedAt.IsZero() {
		t.Errorf("Show() of a pending project = %+v, %v", got, err)
	}
	for _, name := range []string{"4711", "Group/nothing", "Group", "Group/app__", ""} {
		if _, err := s.DB.Show(t.Context(), s.run, name); !errors.Is(err, gitlab.ErrNotFound) {
			t.Errorf("Show(%q) = %v, want ErrNotFound", name, err)
		}
	}
}

func TestP17_SortTellsTheUnknownFromTheKnown(t *testing.T) {
	t.Parallel()
	s := newSuite(t, 4)
	s.write(t, s.completed(0, 1), s.failed(1, 1, "x"))
	s.Exec(t, `UPDATE public.projects SET pending_delete = true WHERE id = $1`, s.projects[2].ID)
	id := func(i int) int64 { return s.projects[i].ID }
	given := []int64{99, id(3), id(0), id(2), id(3), -1, id(1), 99}
	for i := range int64(25_000) {
		given = append(given, 1_000_000+i)
	}
	got, err := s.DB.Sort(t.Context(), s.run, given)
	if len(got.Unknown) != 25_002 {
		t.Fatalf("Sort() has %d unknown, %v, want 25002", len(got.Unknown), err)
	}
	got.Unknown = got.Unknown[:2]
	want := postgres.Sorted{Known: []int64{id(3)}, Done: []int64{id(0), id(1)}, Ineligible: []int64{id(2)}, Unknown: []int64{99, -1}}
	if diff := cmp.Diff(want, got); err != nil || diff != "" {
		t.Errorf("Sort(), %v (-want +got):\n%s", err, diff)
	}
}

func TestNamespacePagesThroughWhatIsBelow(t *testing.T) {
	t.Parallel()
	s := newSuite(t, 0)
	var want []int64
	for i := range 7 {
		want = append(want, s.Project(t, fmt.Sprintf("Top/Sub/app-%d", i)))
		s.Project(t, fmt.Sprintf("Top/Sub-2/app-%d", i))
		s.Project(t, fmt.Sprintf("Top/Sub0/app-%d", i))
	}
	var got []int64
	for from := int64(0); ; {
		page, err := s.DB.Namespace(t.Context(), "top/SUB", from, 3)
		if err != nil {
			t.Fatal(err)
		}
		if len(page) == 0 {
			break
		}
		got = append(got, page...)
		from = page[len(page)-1]
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("Namespace() (-want +got):\n%s", diff)
	}
	if ids, err := s.DB.Namespace(t.Context(), "Top/Sub/app-3", 0, 9); err != nil || !cmp.Equal(ids, want[3:4]) {
		t.Errorf("Namespace() of a project = %v, %v, want itself", ids, err)
	}
	if _, err := s.DB.Namespace(t.Context(), "Top/Su", 0, 9); !errors.Is(err, gitlab.ErrNotFound) {
		t.Errorf("Namespace() of nothing = %v, want ErrNotFound", err)
	}
}
