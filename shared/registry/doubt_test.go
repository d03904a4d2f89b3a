package registry_test

import (
	"context"
	"errors"
	"slices"
	"testing"

	"regmend/shared/gitlab"
	"regmend/shared/registry/registrytest"

	"github.com/google/go-cmp/cmp"
)

// doubter remembers what it was told.
type doubter struct {
	of      []string // the projects of each walk
	paths   []string
	doubted int
	after   error
}

func (d *doubter) Before(_ context.Context, of []gitlab.Project) error {
	for _, p := range of {
		d.of = append(d.of, p.FullPath)
	}
	d.paths = nil
	return nil
}

func (d *doubter) Page(paths []string) { d.paths = append(d.paths, paths...) }

func (d *doubter) After(context.Context) error {
	d.doubted++
	return d.after
}

func TestDoubtOfEachWalkOfTheCatalog(t *testing.T) {
	for name, c := range map[string]struct {
		options registrytest.Options
		want    []string // the projects it is read for
	}{
		"distribution": {registrytest.Options{Mode: registrytest.Distribution, CatalogPage: 2}, []string{"g/a", "top9/b9"}},
		"gitlab":       {registrytest.Options{CatalogPage: 2}, []string{"top9/b9"}},
	} {
		t.Run(name, func(t *testing.T) {
			server := registrytest.NewServer(t, c.options)
			all := []string{"g/a/x", "other/c/z", "top9/b9/y"}
			for _, path := range all {
				server.Push(path, "v1")
			}
			doubts := errors.New("it is not whole")
			d := &doubter{after: doubts}
			s := survey(t, newClient(t, server.URL), "g/a", "top9/b9")
			s.Doubt(d)
			if got, _, err := listIn(t, s, "top9/b9"); !errors.Is(err, doubts) || len(got) > 0 {
				t.Errorf("listing = %v, %v; want nothing of a catalog that is doubted", got, err)
			}
			d.after = nil
			for _, path := range []string{"g/a", "top9/b9", "top9/b9"} {
				if got, _, err := listIn(t, s, path); err != nil || len(got) != 1 {
					t.Errorf("listing of %s = %v, %v", path, got, err)
				}
			}
			slices.Sort(d.paths)
			if diff := cmp.Diff(all, d.paths); diff != "" {
				t.Errorf("pages (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(slices.Concat(c.want, c.want), d.of); diff != "" || d.doubted != 2 {
				t.Errorf("%d walks doubted, want 2; read for (-want +got):\n%s", d.doubted, diff)
			}
		})
	}
}

// What needs no catalog costs no doubt.
func TestNoDoubtWithoutTheCatalog(t *testing.T) {
	server := registrytest.NewServer(t, registrytest.Options{})
	server.Push("g/a/x", "v1")
	d := &doubter{}
	s := survey(t, newClient(t, server.URL), "g/a", "g/b9", "top9/b9")
	s.Doubt(d)
	for _, path := range []string{"g/a", "g/b9", "top9/b9"} {
		if _, _, err := listIn(t, s, path); err != nil {
			t.Error(err)
		}
	}
	if len(d.of) > 0 || d.doubted > 0 || len(server.Requests(registrytest.Catalog)) > 0 {
		t.Errorf("the catalog was read for %v", d.of)
	}
}
