package registry_test

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"testing"
	"time"

	"regmend/shared/gitlab"
	"regmend/shared/registry"
	"regmend/shared/registry/registrytest"
)

// newClient is a client of the registry at url; each edit changes its
// configuration.
func newClient(t testing.TB, url string, edits ...func(*registry.Config)) *registry.Client {
	t.Helper()
	cfg := registry.Config{URL: url, RequestTimeout: 10 * time.Second}
	for _, edit := range edits {
		edit(&cfg)
	}
	c, err := registry.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

func pageSize(n int) func(*registry.Config) {
	return func(cfg *registry.Config) { cfg.PageSize = func() int { return n } }
}

func project(path string) gitlab.Project { return gitlab.Project{ID: 1, FullPath: path} }

// survey is one of the projects with these full paths.
func survey(t testing.TB, c *registry.Client, paths ...string) *registry.Survey {
	t.Helper()
	var projects []gitlab.Project
	for i, path := range paths {
		projects = append(projects, gitlab.Project{ID: int64(i + 1), FullPath: path})
	}
	s, err := c.Survey(t.Context(), projects)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// list lists one project in a survey of its own, the names sorted.
func list(t testing.TB, c *registry.Client, path string) ([]string, gitlab.Evidence, error) {
	t.Helper()
	return listIn(t, survey(t, c, path), path)
}

func listIn(t testing.TB, s *registry.Survey, path string) ([]string, gitlab.Evidence, error) {
	t.Helper()
	var names []string
	evidence, err := s.List(t.Context(), project(path), func(page []gitlab.Repository) error {
		for _, r := range page {
			names = append(names, r.Name)
		}
		return nil
	})
	slices.Sort(names)
	return names, evidence, err
}

// failure is err as the client's own error.
func failure(t testing.TB, err error) *registry.Error {
	t.Helper()
	var answer *registry.Error
	if !errors.As(err, &answer) {
		t.Fatalf("error = %v (%T), want a *registry.Error", err, err)
	}
	return answer
}

// pushMany pushes n repositories below a path.
func pushMany(r *registrytest.Registry, path string, n int) (names []string) {
	for i := range n {
		name := fmt.Sprintf("r%05d", i)
		r.Push(path+"/"+name, "v1")
		names = append(names, name)
	}
	return names
}

// hang is a hook that says when a request arrived and then hangs.
func hang(arrived chan<- struct{}) registrytest.Hook {
	return func(_ http.ResponseWriter, req *http.Request, _ int) bool {
		arrived <- struct{}{}
		<-req.Context().Done()
		return true
	}
}
