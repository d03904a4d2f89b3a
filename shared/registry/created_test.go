package registry_test

import (
	"net/http"
	"testing"
	"time"

	"regmend/shared/gitlab"
	"regmend/shared/registry/registrytest"

	"github.com/google/go-cmp/cmp"
)

// Whatever a registry says of when a repository was created, its listing counts.
func TestWhenARepositoryWasCreated(t *testing.T) {
	at := time.Date(2026, 1, 2, 3, 4, 5, 678e6, time.UTC)
	for said, want := range map[string]time.Time{
		`"2026-01-02T03:04:05.678Z"`:      at,
		`"2026-01-02T04:04:05.678+01:00"`: at,
		`""`:                              {},
		`"yesterday"`:                     {},
		`null`:                            {},
		`12`:                              {},
		`{"a":[1,{"b":2}]}`:               {},
		`["2026-01-02T03:04:05.678Z"]`:    {},
		`"0001-01-01T00:00:00Z"`:          {},
		`"\u0000"`:                        {},
	} {
		t.Run(said, func(t *testing.T) {
			r := registrytest.NewServer(t, registrytest.Options{})
			body := `[{"created_at":` + said + `,"path":"g/p/web"},{"path":"g/p/x"}]`
			r.Fail(registrytest.Where{Kind: registrytest.List}, registrytest.Answer(http.StatusOK, nil, body))
			s := survey(t, newClient(t, r.URL), "g/p")
			var got []gitlab.Repository
			evidence, err := s.List(t.Context(), project("g/p"), func(page []gitlab.Repository) error {
				got = append(got, page...)
				return nil
			})
			if err != nil || evidence.Listed != 2 {
				t.Errorf("List() = %+v, %v, want 2 listed", evidence, err)
			}
			if diff := cmp.Diff([]gitlab.Repository{{Name: "web", CreatedAt: want}, {Name: "x"}}, got); diff != "" {
				t.Errorf("repositories (-want +got):\n%s", diff)
			}
		})
	}
}
