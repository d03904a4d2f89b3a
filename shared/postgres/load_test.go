package postgres_test

import (
	"errors"
	"fmt"
	"testing"

	"regmend/schema"
	"regmend/shared/gitlab"
	"regmend/shared/postgres"
	"regmend/shared/postgres/postgrestest"

	"github.com/google/go-cmp/cmp"
)

func load(t *testing.T, s *suite, after int64, ids ...int64) postgres.Loaded {
	t.Helper()
	loaded, err := s.DB.Load(t.Context(), s.run, 0, ids, after)
	if err != nil {
		t.Fatalf("Load: %v", err)
	}
	return loaded
}

func TestLoadKeepsTheOrderAndDropsWhatIsGone(t *testing.T) {
	t.Parallel()
	s := newSuite(t, 4)
	s.Exec(t, `UPDATE public.projects SET pending_delete = true WHERE id = $1`, s.projects[1].ID)
	s.Exec(t, `UPDATE public.projects SET pending_delete = NULL, archived = true, marked_for_deletion_at = now() WHERE id = $1`, s.projects[2].ID)
	s.Exec(t, `DELETE FROM public.routes WHERE path = 'Group/app-d'`)
	s.projects[3].FullPath = ""
	first := load(t, s, 0, s.projects[3].ID, s.projects[2].ID, 4711, s.projects[0].ID, s.projects[1].ID, s.projects[3].ID)
	want := []gitlab.Project{s.projects[3], s.projects[2], s.projects[0]}
	if diff := cmp.Diff(want, first.Projects); diff != "" || first.Gone != 2 || first.Done != 0 {
		t.Errorf("Load() = %+v, want 2 gone and projects (-want +got):\n%s", first, diff)
	}
	second := load(t, s, 0)
	if second.Scan != first.Scan+1 || first.Scan <= s.run.Scan {
		t.Errorf("scan numbers %d, %d in the run of %d, want each once and above the run's", first.Scan, second.Scan, s.run.Scan)
	}
}

// TestP8_LoadDropsWhatIsDone writes one result and asks for its project again.
func TestP8_LoadDropsWhatIsDone(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		prepare func(s *suite) []gitlab.Result
		spoil   string
		after   int64
		done    bool
	}{
		"no result":                 {func(*suite) []gitlab.Result { return nil }, ``, 0, false},
		"completed":                 {func(s *suite) []gitlab.Result { return []gitlab.Result{s.completed(0, 5)} }, ``, 0, true},
		"completed, but before":     {func(s *suite) []gitlab.Result { return []gitlab.Result{s.completed(0, 5)} }, ``, 5, false},
		"completed just after":      {func(s *suite) []gitlab.Result { return []gitlab.Result{s.completed(0, 6)} }, ``, 5, true},
		"failed":                    {func(s *suite) []gitlab.Result { return []gitlab.Result{s.failed(0, 5, "x")} }, ``, 0, true},
		"failed after, both before": {func(s *suite) []gitlab.Result { return []gitlab.Result{s.completed(0, 3), s.failed(0, 5, "x")} }, ``, 5, false},
		"failed after":              {func(s *suite) []gitlab.Result { return []gitlab.Result{s.completed(0, 3), s.failed(0, 6, "x")} }, ``, 5, true},
		"failed and due":            {func(s *suite) []gitlab.Result { return []gitlab.Result{s.failed(0, 5, "x")} }, `UPDATE regmend.data_repair_details SET next_attempt_at = now()`, 0, false},
		"failed after and due": {
			func(s *suite) []gitlab.Result { return []gitlab.Result{s.completed(0, 3), s.failed(0, 5, "x")} },
			`UPDATE regmend.data_repair_details SET next_attempt_at = now()`, 0, false,
		},
		"of another run": {
			func(s *suite) []gitlab.Result { return []gitlab.Result{s.completed(0, 5)} },
			`UPDATE regmend.data_repair_details SET run_id = run_id + 1`, 0, false,
		},
		"with a number from before the run": {
			func(s *suite) []gitlab.Result { return []gitlab.Result{s.completed(0, 5)} },
			`UPDATE regmend.data_repair_details SET scan_number = 1`, 0, false,
		},
		"completed without evidence": {
			func(s *suite) []gitlab.Result { return []gitlab.Result{s.completed(0, 5)} },
			`UPDATE regmend.data_repair_details SET listed = NULL`, 0, false,
		},
		"failed without a next try": {
			func(s *suite) []gitlab.Result { return []gitlab.Result{s.failed(0, 5, "x")} },
			`UPDATE regmend.data_repair_details SET next_attempt_at = NULL`, 0, false,
		},
	}
	s := newSuite(t, 1)
	s.Exec(t, `ALTER TABLE regmend.data_repair_details DROP CONSTRAINT completed_has_evidence, DROP CONSTRAINT failure_is_whole`)
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			s.Exec(t, `DELETE FROM regmend.data_repair_details`)
			s.write(t, test.prepare(s)...)
			if test.spoil != "" {
				s.Exec(t, test.spoil)
			}
			after := test.after
			if after > 0 {
				after = s.at(after)
			}
			got := load(t, s, after, s.projects[0].ID)
			if done := got.Done == 1; done != test.done || len(got.Projects)+got.Done != 1 {
				t.Errorf("Load() = %+v, want done %v", got, test.done)
			}
		})
	}
}

func TestP4_AStandbyIsNotBelieved(t *testing.T) {
	t.Parallel()
	standby := startStandby(t)
	db := postgrestest.Open(t, standby.URL)
	ctx := t.Context()
	run := postgres.Run{ID: 1, Scan: 1}
	_, loaded := db.Load(ctx, run, 0, []int64{1}, 0)
	_, looked := db.WithoutRow(ctx, []postgres.Listed{{ProjectID: 1, Name: "x"}})
	_, wrote := db.Write(ctx, run, []gitlab.Result{{Run: 1, Scan: 2, Project: gitlab.Project{ID: 1, FullPath: "g/app"}, Status: gitlab.Failed}})
	_, set := db.Set(ctx, "max_concurrency", "3", "a test")
	_, began := db.NewRun(ctx, "a test", "registry", 0)
	migrated := db.Migrate(ctx, schema.Migrations, postgres.MigrateOptions{})
	for what, err := range map[string]error{
		"Load": loaded, "WithoutRow": looked, "Write": wrote, "Set": set, "NewRun": began, "Migrate": migrated,
	} {
		if !errors.Is(err, postgres.ErrStandby) {
			t.Errorf("%s() on a standby = %v, want ErrStandby", what, err)
		}
	}
	if state, err := db.State(ctx); err != nil || !state.Standby {
		t.Errorf("State() on a standby = %+v, %v, want it to say so", state, err)
	}
}

func TestWithoutRow(t *testing.T) {
	t.Parallel()
	s := newSuite(t, 2)
	a, b := s.projects[0].ID, s.projects[1].ID
	for _, name := range []string{"", "web", "a/b/c", "Wörter"} {
		s.Repository(t, a, name)
	}
	for status, name := range []string{"scheduled", "failed", "ongoing"} {
		s.Repository(t, a, name)
		s.Exec(t, `UPDATE public.container_repositories SET status = $1 WHERE name = $2`, status, name)
	}
	// Where the unique index was lost there are duplicates.
	s.Exec(t, `DROP INDEX public.index_container_repositories_on_project_id_and_name`)
	s.Repository(t, a, "web")
	var listed, want []postgres.Listed
	for _, name := range []string{"web", "x", "", "scheduled", "failed", "ongoing", "a/b/c", "a/b", "we_", "Wörter", "w%"} {
		for _, project := range []int64{b, a} {
			l := postgres.Listed{ProjectID: project, Name: name}
			listed = append(listed, l)
			if project == b || name == "x" || name == "a/b" || name == "we_" || name == "w%" {
				want = append(want, l)
			}
		}
	}
	got, err := s.DB.WithoutRow(t.Context(), listed)
	if diff := cmp.Diff(want, got); err != nil || diff != "" {
		t.Errorf("WithoutRow(), %v (-want +got):\n%s", err, diff)
	}
	if got, err := s.DB.WithoutRow(t.Context(), nil); err != nil || len(got) != 0 {
		t.Errorf("WithoutRow(nothing) = %v, %v", got, err)
	}
	if _, err := s.DB.WithoutRow(t.Context(), []postgres.Listed{{ProjectID: a, Name: "x\x00"}}); err == nil {
		t.Errorf("WithoutRow() of a name that Postgres cannot hold succeeded")
	}
}

func TestWithoutRowOfTensOfThousands(t *testing.T) {
	t.Parallel()
	s := newSuite(t, 1)
	s.Exec(t, `INSERT INTO public.container_repositories (project_id, name, created_at, updated_at)
		SELECT $1, 'image-' || i, now() AT TIME ZONE 'utc', now() AT TIME ZONE 'utc' FROM generate_series(0, 49999, 2) AS i`, s.projects[0].ID)
	var listed []postgres.Listed
	for i := range 50000 {
		listed = append(listed, postgres.Listed{ProjectID: s.projects[0].ID, Name: fmt.Sprint("image-", i)})
	}
	got, err := s.DB.WithoutRow(t.Context(), listed)
	if err != nil || len(got) != 25000 || got[0].Name != "image-1" {
		t.Errorf("WithoutRow() = %d repositories, %v, want 25000", len(got), err)
	}
}

func TestSample(t *testing.T) {
	t.Parallel()
	s := newSuite(t, 3)
	for _, project := range s.projects {
		s.Repository(t, project.ID, "web")
	}
	s.Repository(t, s.projects[0].ID, "leaving")
	s.Exec(t, `UPDATE public.container_repositories SET status = 0 WHERE name = 'leaving'`)
	s.Exec(t, `UPDATE public.projects SET pending_delete = true WHERE id = $1`, s.projects[1].ID)
	s.Exec(t, `DELETE FROM public.routes WHERE path = 'Group/app-c'`)
	got, err := s.DB.Sample(t.Context(), 200)
	if diff := cmp.Diff([]postgres.Sampled{{Project: s.projects[0], Name: "web"}}, got); err != nil || diff != "" {
		t.Errorf("Sample(), %v (-want +got):\n%s", err, diff)
	}
	s.Exec(t, `INSERT INTO public.container_repositories (project_id, name, created_at, updated_at)
		SELECT $1, 'image-' || i, now() AT TIME ZONE 'utc', now() AT TIME ZONE 'utc' FROM generate_series(1, 20000) AS i`, s.projects[0].ID)
	got, err = s.DB.Sample(t.Context(), 200)
	again, againErr := s.DB.Sample(t.Context(), 200)
	if err != nil || againErr != nil || len(got) != 200 || cmp.Equal(got, again) {
		t.Errorf("Sample() of a large table = %d rows, %v, %v; want 200 each time, and others", len(got), err, againErr)
	}
}

// Of some projects are sampled those rows only that a catalog has to show.
func TestSampleOf(t *testing.T) {
	t.Parallel()
	s := newSuite(t, 3)
	for _, project := range s.projects {
		s.Repository(t, project.ID, "web")
	}
	s.Repository(t, s.projects[0].ID, "leaving")
	s.Exec(t, `UPDATE public.container_repositories SET status = 0 WHERE name = 'leaving'`)
	s.Exec(t, `UPDATE public.projects SET pending_delete = true WHERE id = $1`, s.projects[1].ID)
	got, err := s.DB.SampleOf(t.Context(), []int64{s.projects[0].ID, s.projects[1].ID, 1 << 40}, 20)
	if diff := cmp.Diff([]postgres.Sampled{{Project: s.projects[0], Name: "web"}}, got); err != nil || diff != "" {
		t.Errorf("SampleOf(), %v (-want +got):\n%s", err, diff)
	}
	s.Exec(t, `INSERT INTO public.container_repositories (project_id, name, created_at, updated_at)
		SELECT $1, 'image-' || i, now() AT TIME ZONE 'utc', now() AT TIME ZONE 'utc' FROM generate_series(1, 100) AS i`, s.projects[0].ID)
	if got, err = s.DB.SampleOf(t.Context(), []int64{s.projects[0].ID}, 20); err != nil || len(got) != 20 {
		t.Errorf("SampleOf() of a large project = %d rows, %v; want 20", len(got), err)
	}
	if got, err = s.DB.SampleOf(t.Context(), nil, 20); err != nil || len(got) != 0 {
		t.Errorf("SampleOf() of no project = %v, %v", got, err)
	}
}

func TestStands(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		change string
		want   bool
	}{
		"nothing happened": {`SELECT $1::bigint`, true},
		"renamed":          {`UPDATE public.routes SET path = 'g/renamed' WHERE source_type = 'Project' AND source_id = $1`, false},
		"being deleted":    {`UPDATE public.projects SET pending_delete = true WHERE id = $1`, false},
		"the row is gone":  {`DELETE FROM public.container_repositories WHERE project_id = $1`, false},
		"the row is going": {`UPDATE public.container_repositories SET status = 0 WHERE project_id = $1`, false},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSuite(t, 1)
			s.Repository(t, s.projects[0].ID, "web")
			s.Exec(t, c.change, s.projects[0].ID)
			got, err := s.DB.Stands(t.Context(), postgres.Sampled{Project: s.projects[0], Name: "web"})
			if err != nil || got != c.want {
				t.Errorf("Stands() = %v, %v; want %v", got, err, c.want)
			}
		})
	}
}
