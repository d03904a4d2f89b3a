package main

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"regmend/shared/registry"
)

// catalogs says of each fault of the catalog how a walk ends that meets it and
// tries nothing again; "": with everything, "part": with less than that.
var catalogs = map[string]string{
	"catalog-refused":            "not granted",
	"catalog-503":                "503",
	"catalog-cut":                "cut",
	"catalog-repeats-a-page":     "",
	"catalog-leads-back":         "leads back",
	"catalog-position-refused":   "400",
	"catalog-of-a-part":          "part",
	"catalog-empty-for-a-moment": "listed a moment ago",
	"catalog-endless":            "endless",
}

// mostWalked bounds the walks of these tests, in pages.
const mostWalked = 30

// walkCatalog reads the catalog as a sweep does that notes where it is.
func walkCatalog(t *testing.T, r *registrySide, client *registry.Client) (paths []string, pages int, err error) {
	t.Helper()
	walk, err := client.CatalogWalk(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	position := ""
	r.position = func() string { return position }
	for pages < mostWalked {
		found, next, err := walk.Page(t.Context(), position)
		if err != nil {
			return paths, pages, err
		}
		paths, position, pages = append(paths, found...), next, pages+1
		if next == "" {
			slices.Sort(paths)
			return slices.Compact(paths), pages, nil
		}
	}
	return paths, pages, fmt.Errorf("endless: %s", paths[len(paths)-1])
}

func TestCatalogFaults(t *testing.T) {
	in := registryInstallation(t, map[string]int{"grp/app1": 600, "grp/app2": 600})
	r, client := in.registry, newRegistryClient(t, in.registry)
	for _, f := range catalogFaults {
		t.Run(f.name, func(t *testing.T) {
			want, known := catalogs[f.name]
			if !known {
				t.Fatal("nothing is known of it")
			}
			for seed := range uint64(6) { // until the dice had every way
				times := f.times
				if times == 0 {
					times = endless
				}
				s, end := r.interpose("catalog", times, f.fault(r, rand.New(rand.NewPCG(seed, 1))))
				paths, _, err := walkCatalog(t, r, client)
				end()
				whole := slices.Equal(paths, r.pushed)
				switch {
				case s.given.Load() == 0 || f.times > 0 && s.given.Load() != f.times:
					t.Errorf("%d answers were spoilt, want %d", s.given.Load(), f.times)
				case want == "" || want == "part":
					if err != nil || whole == (want == "part") {
						t.Errorf("the walk ends with %d repositories of %d: %v", len(paths), len(r.pushed), err)
					}
				case err == nil || !strings.Contains(err.Error(), want):
					t.Errorf("the walk ends with %v, want %s", err, want)
				}
				if paths, pages, err := walkCatalog(t, r, client); err != nil || !slices.Equal(paths, r.pushed) || pages != 5 {
					t.Fatalf("after it a walk ends with %d repositories on %d pages: %v", len(paths), pages, err)
				}
			}
		})
	}
	if n := r.strangers(); n != 0 {
		t.Errorf("the stranger was asked %d times", n)
	}
}

// Pages that are given twice are noted, for what counts them is right.
func TestPagesGivenTwiceAreNoted(t *testing.T) {
	in := registryInstallation(t, map[string]int{"grp/app1": 600})
	r, client := in.registry, newRegistryClient(t, in.registry)
	if pages := r.pages(); len(pages.given)+len(pages.double) != 0 {
		t.Errorf("before anybody asked: %+v", pages)
	}
	if _, _, err := walkCatalog(t, r, client); err != nil {
		t.Fatal(err)
	}
	if pages := r.pages(); len(pages.given) != 4 || len(pages.double) != 0 { // one to see that it is over
		t.Errorf("%d pages were given, %d of them twice, want 4 and none", len(pages.given), len(pages.double))
	}
	const times = 8
	_, end := r.interpose("catalog", times, r.repeating())
	defer end()
	if _, pages, err := walkCatalog(t, r, client); err != nil || pages != 3+times-1 {
		t.Errorf("a walk with a page %d times has %d pages: %v", times, pages, err)
	}
	if pages := r.pages(); len(pages.double) != times-1 {
		t.Errorf("%d pages were given twice, want %d", len(pages.double), times-1)
	}
}

// Scans that read the catalog do not meet what is meant for the sweep, unless
// they are where it is.
func TestScansPassTheScreen(t *testing.T) {
	in := registryInstallation(t, map[string]int{"grp/app1": 600})
	r, client := in.registry, newRegistryClient(t, in.registry)
	r.position = func() string { return "" }
	s, end := r.interpose("catalog", endless, badGateway)
	defer end()
	read := 0
	if _, err := client.Catalog(t.Context(), func(paths []string) error { read += len(paths); return nil }); err != nil || read != len(r.pushed) {
		t.Errorf("%d repositories of %d: %v", read, len(r.pushed), err)
	}
	if granted, reason, err := client.GrantsCatalog(t.Context()); !granted || err != nil {
		t.Errorf("the catalog is not granted: %s, %v", reason, err)
	}
	if n := s.asked.Load(); n != 0 {
		t.Errorf("%d requests met the screen", n)
	}
	end()
	first, over := r.interposeFirst(badGateway)
	defer over()
	if _, _, err := walkCatalog(t, r, client); err == nil || first.given.Load() != 1 {
		t.Errorf("the first page was spoilt %d times, and the walk ends with %v", first.given.Load(), err)
	}
}
