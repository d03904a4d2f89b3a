package registry_test

import (
	"errors"
	"net/http"
	"slices"
	"strings"
	"testing"

	"regmend/shared/registry"
	"regmend/shared/registry/registrytest"

	"github.com/google/go-cmp/cmp"
)

// walkCatalog walks on from a position to the end and returns the paths, sorted,
// each once.
func walkCatalog(t *testing.T, w *registry.CatalogWalk, position string) ([]string, error) {
	t.Helper()
	var all []string
	for {
		paths, next, err := w.Page(t.Context(), position)
		if err != nil {
			return nil, err
		}
		all = append(all, paths...)
		if next == "" {
			slices.Sort(all)
			return slices.Compact(all), nil
		}
		position = next
	}
}

func newWalk(t *testing.T, url string) *registry.CatalogWalk {
	t.Helper()
	w, err := newClient(t, url).CatalogWalk(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return w
}

func TestCatalogWalkFindsEverythingInWhateverOrder(t *testing.T) {
	gitlab := registrytest.Options{CatalogLimit: 1000, Prefix: "/registry"}
	tests := map[string]struct {
		options  registrytest.Options
		fault    registrytest.Fault
		requests int
	}{
		"GitLab's":                     {gitlab, nil, 4},
		"another collation":            {registrytest.Options{Collation: registrytest.Glibc}, nil, 4},
		"each page in a random order":  {gitlab, registrytest.Shuffle(), 4},
		"overlapping pages":            {gitlab, registrytest.Overlap(300), 5},
		"links to another origin":      {gitlab, registrytest.ForeignLink("https://elsewhere.example.com"), 4},
		"distribution's":               {registrytest.Options{Mode: registrytest.Distribution}, nil, 6},
		"distribution's, small pages":  {registrytest.Options{Mode: registrytest.Distribution, CatalogLimit: 100}, nil, 1 + 25 + 24 + 1},
		"one that takes 100 at a time": {registrytest.Options{CatalogLimit: 100}, nil, 1 + 25 + 1},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			server := registrytest.NewServer(t, test.options)
			pushMany(server.Registry, "g/p", 2500)
			if test.fault != nil {
				server.Fail(registrytest.Where{Kind: registrytest.Catalog}, test.fault)
			}
			got, err := walkCatalog(t, newWalk(t, server.URL), "")
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(server.Tagged(), got); diff != "" {
				t.Errorf("paths (-want +got):\n%s", diff)
			}
			if n := len(server.Requests(registrytest.Catalog)); n != test.requests {
				t.Errorf("%d requests, want %d", n, test.requests)
			}
		})
	}
}

func TestCatalogPageServesAnotherClient(t *testing.T) {
	server := registrytest.NewServer(t, registrytest.Options{Prefix: "/registry"})
	pushMany(server.Registry, "g/p", 2500)
	first, next, err := newClient(t, server.URL).CatalogPage(t.Context(), "")
	if err != nil || !strings.HasPrefix(next, "/v2/_catalog?") {
		t.Fatalf("next = %q, %v", next, err)
	}
	rest, err := walkCatalog(t, newWalk(t, server.URL), next)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(server.Tagged(), append(first, rest...)); diff != "" {
		t.Errorf("paths (-want +got):\n%s", diff)
	}
}

func TestP16_APositionLeadsNowhereElse(t *testing.T) {
	server := registrytest.NewServer(t, registrytest.Options{})
	client := newClient(t, server.URL)
	for _, position := range []string{
		"https://elsewhere.example.com/v2/_catalog?last=x", "//elsewhere.example.com/v2/_catalog?last=x",
		"/v2/other?last=x", "/v2/../v2/_catalog?last=x", "/v2/_catalog?last=x#y", "last=x", "\x00", "?last=x",
	} {
		if _, _, err := client.CatalogPage(t.Context(), position); !errors.Is(err, registry.ErrPosition) {
			t.Errorf("CatalogPage(%q): %v, want ErrPosition", position, err)
		}
	}
	if n := server.Count(); n != 0 {
		t.Errorf("%d requests were sent", n)
	}
}

func TestP3_ACatalogThatIsNotWholeIsAnError(t *testing.T) {
	distribution := registrytest.Options{Mode: registrytest.Distribution}
	type link = func(req *http.Request, last string) string
	to := func(query string) link {
		return func(*http.Request, string) string { return "</v2/_catalog?" + query + `>; rel="next"` }
	}
	tests := map[string]struct {
		options registrytest.Options
		page    int
		times   int
		fault   registrytest.Fault
		want    string
	}{
		"a page that is cut":                     {page: 2, fault: registrytest.CutShare(0.5), want: "cut"},
		"HTML with status 200":                   {page: 2, fault: registrytest.HTML(), want: "not what was asked for"},
		"null with status 200":                   {page: 2, fault: registrytest.Null(), want: "not what was asked for"},
		"a Link to the page itself":              {page: 2, fault: registrytest.RepeatPage(), want: "leads back"},
		"a Link to a page already read":          {page: 3, fault: registrytest.NextLink(to("last=g%2Fp%2Fr00999&n=1000")), want: "leads back"},
		"a Link to another route":                {page: 1, fault: registrytest.Link(`</v2/other?last=x>; rel="next"`), want: "another route"},
		"a Link that cannot be read":             {page: 1, fault: registrytest.Link(`<`), want: "malformed"},
		"a Link that cannot be stored":           {page: 1, fault: registrytest.NextLink(to("last=\xff")), want: "malformed"},
		"a Link without end":                     {page: 1, fault: registrytest.NextLink(to("last=" + strings.Repeat("x", 5000))), want: "bytes"},
		"the Link is missing in the middle":      {page: 2, fault: registrytest.Link(""), want: "without a next page"},
		"a page of more than anyone asks for":    {page: 2, fault: registrytest.Body(`{"repositories":[` + strings.Repeat(`"g",`, 100_000) + `"g"]}`), want: "100001 entries"},
		"a page is empty for a moment":           {page: 2, times: 1, fault: registrytest.Answer(200, nil, `{"repositories":[]}`), want: "cut short"},
		"distribution drops names between pages": {options: distribution, fault: registrytest.DropAtBorder(), want: "dropped between two pages"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			server := registrytest.NewServer(t, test.options)
			pushMany(server.Registry, "g/p", 3500)
			server.Fail(registrytest.Where{Kind: registrytest.Catalog, Page: test.page, Times: test.times}, test.fault)
			_, err := walkCatalog(t, newWalk(t, server.URL), "")
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Fatalf("error = %v, want one about %q", err, test.want)
			}
			if failure(t, err).Outage() {
				t.Error("it counts as an outage: all would hold")
			}
		})
	}
}

// Not the first page is at fault then, which reads the same as ever.
func TestAPageThatLeadsBackToTheFirstIsReadAgain(t *testing.T) {
	server := registrytest.NewServer(t, registrytest.Options{CatalogLimit: 100})
	pushMany(server.Registry, "g/p", 350)
	walk := newWalk(t, server.URL)
	_, second, err := walk.Page(t.Context(), "")
	if err != nil {
		t.Fatal(err)
	}
	server.Fail(registrytest.Where{Kind: registrytest.Catalog, Times: 1}, registrytest.Link(`</v2/_catalog?n=100>; rel="next"`))
	if _, next, err := walk.Page(t.Context(), second); err == nil || !strings.Contains(err.Error(), "leads back") {
		t.Errorf("the second page leads to %q (%v), want an error", next, err)
	}
	if rest, err := walkCatalog(t, walk, second); err != nil || len(rest) != 250 {
		t.Errorf("read again, there are %d paths from the second page on (%v), want 250", len(rest), err)
	}
}

func TestARefusedCatalogIsNoOutage(t *testing.T) {
	tests := map[string]struct {
		fault   registrytest.Fault
		refused bool
	}{
		"401": {registrytest.Status(http.StatusUnauthorized, "UNAUTHORIZED"), true},
		"403": {registrytest.Status(http.StatusForbidden, "DENIED"), true},
		"404": {registrytest.Status(http.StatusNotFound, ""), true},
		"405": {registrytest.Status(http.StatusMethodNotAllowed, "UNSUPPORTED"), true},
		"429": {registrytest.TooMany("1.0"), false},
		"503": {registrytest.Status(http.StatusServiceUnavailable, "UNAVAILABLE"), false},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			server := registrytest.NewServer(t, registrytest.Options{})
			client := newClient(t, server.URL)
			if granted, _, err := client.GrantsCatalog(t.Context()); err != nil || !granted {
				t.Errorf("GrantsCatalog() = %v, %v while nothing is wrong", granted, err)
			}
			server.Fail(registrytest.Where{Kind: registrytest.Catalog}, test.fault)
			_, _, err := client.CatalogPage(t.Context(), "")
			if errors.Is(err, registry.ErrNoCatalog) != test.refused || failure(t, err).Outage() == test.refused {
				t.Errorf("CatalogPage(): %v", err)
			}
			granted, reason, err := client.GrantsCatalog(t.Context())
			if granted || (reason != "") != test.refused || (err == nil) != test.refused {
				t.Errorf("GrantsCatalog() = %v, %q, %v", granted, reason, err)
			}
		})
	}
}
