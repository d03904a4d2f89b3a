package registry_test

import (
	"errors"
	"fmt"
	"net/http"
	"runtime"
	"slices"
	"strings"
	"testing"

	"regmend/shared/gitlab"
	"regmend/shared/registry"
	"regmend/shared/registry/registrytest"

	"github.com/google/go-cmp/cmp"
)

func TestNextLink(t *testing.T) {
	long := "/x?last=" + strings.Repeat("a", 600)
	tests := []struct {
		name    string
		headers []string
		want    string
		wrong   bool
	}{
		{"none", nil, "", false},
		{"empty", []string{""}, "", false},
		{"GitLab's", []string{`</gitlab/v1/x?last=group%2Fproj&n=1>; rel="next"`}, "/gitlab/v1/x?last=group%2Fproj&n=1", false},
		{"more than 500 characters", []string{"<" + long + `>; rel="next"`}, long, false},
		{"commas and quotes in the address", []string{`</x?last=a,b;"c">; rel="next"`}, `/x?last=a,b;"c"`, false},
		{"commas and brackets in a parameter", []string{`</y>; title="a, <b>; rel=\"next\""; rel=prev, </x>; rel=next`}, "/x", false},
		{"several relations", []string{`</x>; rel="last NEXT"`}, "/x", false},
		{"without quotes", []string{`</x>;rel=next`}, "/x", false},
		{"spaces", []string{` < /x>`}, "", false},
		{"several headers", []string{`</y>; rel="prev"`, `</x>; rel="next"`}, "/x", false},
		{"the same twice", []string{`</x>; rel="next"`, `</x>; rel="next"`}, "/x", false},
		{"the first rel counts", []string{`</x>; rel="prev"; rel="next"`}, "", false},
		{"a word that contains next", []string{`</x>; rel="nextish"`}, "", false},
		{"empty elements and parameters", []string{`, </x>; ; rel=next ,, `}, "/x", false},
		{"two nexts", []string{`</x>; rel=next, </y>; rel=next`}, "", true},
		{"no address", []string{`<>; rel=next`}, "", true},
		{"not closed", []string{`</x; rel=next`}, "", true},
		{"quote not closed", []string{`</x>; rel="next`}, "", true},
		{"no bracket", []string{`/x; rel=next`}, "", true},
		{"no comma between", []string{`</x> rel=next`}, "", true},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			got, err := registry.NextLink(test.headers)
			if got != test.want || (err != nil) != test.wrong {
				t.Errorf("NextLink(%q) = %q, %v, want %q", test.headers, got, err, test.want)
			}
		})
	}
}

func TestListingIsReadToItsEnd(t *testing.T) {
	tests := []struct{ repositories, size, pages int }{
		{0, 10, 1},
		{1, 10, 1},
		{9, 10, 1},
		{10, 10, 2}, // the page is full, so there is a Link, to an empty page
		{11, 10, 2},
		{20, 10, 3},
		{2500, 1000, 3},
		{5, 1, 6},
	}
	for _, test := range tests {
		t.Run(fmt.Sprintf("%d by %d", test.repositories, test.size), func(t *testing.T) {
			server := registrytest.NewServer(t, registrytest.Options{Prefix: "/some/prefix"})
			want := pushMany(server.Registry, "g/p", test.repositories)
			server.Push("g/p-x/foreign", "v1")
			server.Push("g/p2", "v1")
			client := newClient(t, server.URL+"/", pageSize(test.size))
			got, evidence, err := list(t, client, "G/P")
			if err != nil || !slices.Equal(got, want) {
				t.Fatalf("listing = %d names, %v, want %d", len(got), err, len(want))
			}
			wantEvidence := gitlab.Evidence{Method: "gitlab", Pages: test.pages, Listed: test.repositories}
			if diff := cmp.Diff(wantEvidence, evidence); diff != "" {
				t.Errorf("evidence (-want +got):\n%s", diff)
			}
		})
	}
}

// An empty page behind full ones is a listing's end, unless the registry lost
// everything meanwhile, or found it again.
func TestP2_AnEmptyPageIsTheEndOnlyOfAListingThatIsStillThere(t *testing.T) {
	for name, emptyFor := range map[string]int{"whole": 0, "lost for good": 1000, "back at once": 1, "back a moment later": 2} {
		t.Run(name, func(t *testing.T) {
			server := registrytest.NewServer(t, registrytest.Options{})
			pushMany(server.Registry, "g/p", 6)
			asked := 0
			server.Hook(func(w http.ResponseWriter, _ *http.Request, page int) bool {
				if asked == 0 && page < 3 || asked >= emptyFor {
					return false
				}
				asked++
				_, _ = w.Write([]byte("[]")) // the client has gone
				return true
			})
			client := newClient(t, server.URL, pageSize(2), func(cfg *registry.Config) { cfg.API = registry.GitLab })
			got, evidence, err := list(t, client, "g/p")
			if emptyFor == 0 {
				if err != nil || len(got) != 6 || evidence.Pages != 4 {
					t.Errorf("listing = %v, %+v, %v", got, evidence, err)
				}
				return
			}
			if answer := failure(t, err); answer.Outage() || !strings.Contains(answer.Reason, "not listed now") {
				t.Errorf("error = %v, want one that the control is asked about", err)
			}
		})
	}
}

// TestP2_RepositoriesListedTwiceCountOnce lists pages that overlap: directly, by
// an ancestor's listing, and by the catalog.
func TestP2_RepositoriesListedTwiceCountOnce(t *testing.T) {
	for name, path := range map[string]string{"gitlab": "g/p", "gitlab-ancestor": "g/p9", "gitlab-catalog": "p9"} {
		t.Run(name, func(t *testing.T) {
			server := registrytest.NewServer(t, registrytest.Options{})
			want := pushMany(server.Registry, path, 5)
			// The page after the first one begins anew.
			server.Fail(registrytest.Where{Times: 1, Page: 1, Kind: map[bool]registrytest.Kind{
				true: registrytest.Catalog, false: registrytest.List,
			}[name == "gitlab-catalog"]}, registrytest.NextLink(func(req *http.Request, _ string) string {
				return "<" + req.URL.Path + `?n=2&last=0>; rel="next"`
			}))
			got, evidence, err := list(t, newClient(t, server.URL, pageSize(2)), path)
			if err != nil || !slices.Equal(slices.Compact(got), want) {
				t.Errorf("listing = %v, %v, want %v", got, err, want)
			}
			if evidence.Method != name || evidence.Listed != len(want) || evidence.Pages < 4 {
				t.Errorf("evidence = %+v, want %d listed", evidence, len(want))
			}
		})
	}
}

// TestAListingTakesNoMoreMemoryThanAPage lists a hundred thousand repositories
// whose paths are as long as can be, in the largest pages.
func TestAListingTakesNoMoreMemoryThanAPage(t *testing.T) {
	const repositories, limit = 100_000, 6 << 20
	server := registrytest.NewServer(t, registrytest.Options{})
	below := "g/p/" + strings.Repeat("x", 245)
	for i := range repositories {
		server.Push(fmt.Sprintf("%s%06d", below, i), "v1")
	}
	client := newClient(t, server.URL)
	s := survey(t, client, "g/p")
	heap := func() uint64 {
		var m runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	if _, err := s.List(t.Context(), project("g/p"), func([]gitlab.Repository) error { return nil }); err != nil {
		t.Fatal(err) // it also brings the double's index in order
	}
	before, most, pages := heap(), uint64(0), 0
	evidence, err := s.List(t.Context(), project("g/p"), func([]gitlab.Repository) error {
		if pages++; pages%20 == 0 {
			most = max(most, heap())
		}
		return nil
	})
	if err != nil || evidence.Listed != repositories || evidence.Pages != 101 {
		t.Errorf("evidence = %+v, %v", evidence, err)
	}
	t.Logf("the heap grew by %d KiB", (int64(most)-int64(before))>>10)
	if most > before+limit {
		t.Errorf("the heap grew by %d bytes, want at most %d", most-before, limit)
	}
}

func TestOfALinkOnlyPathAndQueryAreUsed(t *testing.T) {
	foreign := registrytest.NewServer(t, registrytest.Options{})
	server := registrytest.NewServer(t, registrytest.Options{})
	want := pushMany(server.Registry, "g/p", 5)
	for name, origin := range map[string]string{
		"another host":         foreign.URL,
		"another scheme":       strings.Replace(server.URL, "http:", "https:", 1),
		"a prefix of the host": server.URL + "/behind/a/proxy",
	} {
		t.Run(name, func(t *testing.T) {
			remove := server.Fail(registrytest.Where{Kind: registrytest.List}, registrytest.ForeignLink(origin))
			defer remove()
			got, _, err := list(t, newClient(t, server.URL, pageSize(2)), "g/p")
			if err != nil || !slices.Equal(got, want) {
				t.Errorf("listing = %v, %v, want %v", got, err, want)
			}
		})
	}
	if got := foreign.Count(); got != 0 {
		t.Errorf("the foreign host was sent %d requests", got)
	}
}

func TestPageSizeIsBroughtIntoRange(t *testing.T) {
	server := registrytest.NewServer(t, registrytest.Options{})
	server.Push("g/p", "v1")
	for _, size := range []int{-1, 0, 1, 1000, 5000} {
		if got, _, err := list(t, newClient(t, server.URL, pageSize(size)), "g/p"); err != nil || len(got) != 1 {
			t.Errorf("page size %d: listing = %v, %v", size, got, err)
		}
	}
}

func TestPageErrorIsReturnedAsItIs(t *testing.T) {
	server := registrytest.NewServer(t, registrytest.Options{})
	pushMany(server.Registry, "g/p", 5)
	client := newClient(t, server.URL, pageSize(2))
	s := survey(t, client, "g/p")
	server.Forget()
	enough := errors.New("enough")
	_, err := s.List(t.Context(), project("g/p"), func([]gitlab.Repository) error { return enough })
	if !errors.Is(err, enough) || server.Count() != 1 {
		t.Errorf("error = %v after %d requests, want %v after 1", err, server.Count(), enough)
	}
}

func TestProjectOutsideTheSurvey(t *testing.T) {
	server := registrytest.NewServer(t, registrytest.Options{})
	client := newClient(t, server.URL)
	if _, _, err := listIn(t, survey(t, client, "g/p"), "g/q"); err == nil {
		t.Error("a project that is not the survey's was listed")
	}
	if _, err := client.Survey(t.Context(), []gitlab.Project{{ID: 3}}); err == nil {
		t.Error("a project without path was taken")
	}
}
