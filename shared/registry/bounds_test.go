package registry_test

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"regmend/shared/gitlab"
	"regmend/shared/registry"
	"regmend/shared/registry/registrytest"

	"github.com/google/go-cmp/cmp"
)

func TestP7_AffectedPaths(t *testing.T) {
	tests := map[string]bool{
		// measured: listings that left something out
		"g/app9":    true,
		"gitlab9":   true,
		"g/x0a":     true,
		"g/x0aa":    true,
		"g/x-z":     true,
		"g/x.z":     true,
		"g/x_z":     true,
		"g/x-a":     true,
		"g/x_a":     true,
		"g/x-aa":    true,
		"g/-a":      true,
		"g/_app":    true,
		"g/_ab/x":   true,
		"zzzz/zzzz": true,
		"zz":        true,
		"aaa":       true,
		"g/z":       true, // "/" would become "0"
		"g/a":       true, // "/" would become "."
		"g/app0":    true,
		"g/app9z":   true,
		"g/app0a":   true,
		// no repository can have that path
		"":                              true,
		"G/App":                         true,
		"g/app-":                        true,
		"g//app":                        true,
		"g/..":                          true,
		"g/" + strings.Repeat("b", 255): true,
		// measured: exact in all three collations
		"g/app":      false,
		"gitlab.com": false,
		"g/app1":     false,
		"g/app8":     false,
		"g/app8z":    false,
		"g/app1a":    false,
		"g/ba":       false,
		"g/yz":       false,
		"g/my-app":   false,
		"g/my_app":   false,
		"g/app9/x":   false,
		"g9/app":     false,
	}
	for path, want := range tests {
		if got := registry.Affected(path); got != want {
			t.Errorf("Affected(%q) = %v, want %v", path, got, want)
		}
	}
}

func TestP7_Ancestors(t *testing.T) {
	tests := map[string]string{
		"g/app9":            "g",
		"g/sub/app9":        "g/sub",
		"g/sub9/app9":       "g",
		"g9/sub/app9":       "g9/sub",
		"g9/app9":           "",
		"zzz/zzz":           "",
		"g/_app/x9":         "g",
		"app9":              "",
		"g/sub0/-a/deep/x9": "g",
	}
	for path, want := range tests {
		if got := registry.Ancestor(path); got != want {
			t.Errorf("Ancestor(%q) = %q, want %q", path, got, want)
		}
	}
}

// awkward are components that make paths awkward in some collation.
var awkward = []string{
	"a", "aa", "z", "zz", "9", "0", "app", "app9", "app0", "app0a", "0a", "9z", "x-a", "x-aa", "x_a", "x.a",
	"x-z", "x_z", "x.z", "x-zz", "b", "y", "yz", "ba", "a9", "a-9", "my-app", "my_app", "my.app", "myapp", "my__app",
	"m", "g", "g1", "g8", "9z9",
}

// TestP7_EveryProjectsListingIsExact compares what is listed, in each collation,
// for projects with awkward paths among awkward neighbours, with what was pushed.
func TestP7_EveryProjectsListingIsExact(t *testing.T) {
	for name, collation := range registrytest.Collations() {
		for seed := range uint64(6) {
			t.Run(fmt.Sprintf("%s/%d", name, seed), func(t *testing.T) {
				t.Parallel()
				random := rand.New(rand.NewPCG(seed, 7))
				server := registrytest.NewServer(t, registrytest.Options{Collation: collation})
				projects := awkwardProjects(random)
				pushAwkward(random, server.Registry, projects)
				client := newClient(t, server.URL, pageSize(1+random.IntN(40)))
				s := survey(t, client, projects...)
				for _, path := range projects {
					got, evidence, err := listIn(t, s, path)
					want := owned(path, server.Tagged())
					if err != nil || !slices.Equal(got, want) || evidence.Listed != len(want) {
						t.Errorf("%s by %s: listing = %v, %v, want %v", path, evidence.Method, got, err, want)
					}
				}
			})
		}
	}
}

func awkwardProjects(random *rand.Rand) (paths []string) {
	for range 120 {
		path := awkward[random.IntN(len(awkward))]
		for range 1 + random.IntN(2) {
			path += "/" + awkward[random.IntN(len(awkward))]
		}
		paths = append(paths, path)
	}
	slices.Sort(paths)
	// A project's path is never the directory of another's.
	return slices.DeleteFunc(slices.Compact(paths), func(path string) bool {
		return slices.ContainsFunc(paths, func(other string) bool { return strings.HasPrefix(path, other+"/") })
	})
}

func pushAwkward(random *rand.Rand, r *registrytest.Registry, projects []string) {
	for _, path := range projects {
		for range random.IntN(5) {
			repository := path
			for range random.IntN(3) {
				repository += "/" + awkward[random.IntN(len(awkward))]
			}
			r.Push(repository, "v1")
		}
		r.Push(path + "/emptied") // no tags: listed by the catalog only
	}
}

// owned is the oracle: the names of the project's among all tagged repositories.
func owned(path string, tagged []string) (names []string) {
	for _, repository := range tagged {
		if name, ok := (gitlab.Project{FullPath: path}).Owns(repository); ok {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

func TestP7_Methods(t *testing.T) {
	tests := []struct {
		name, path string
		method     string
		requests   []registrytest.Kind
		listed     []string
	}{
		{"unaffected", "g/app", "gitlab", []registrytest.Kind{registrytest.List}, []string{"", "x"}},
		{"affected", "g/app9", "gitlab-ancestor", []registrytest.Kind{registrytest.List}, []string{"", "x"}},
		{"all affected, nothing there", "g9/none9", "gitlab-size", []registrytest.Kind{registrytest.Details}, nil},
		{"all affected, unknown namespace", "h9/none9", "gitlab-size", []registrytest.Kind{registrytest.Details}, nil},
		{
			"all affected", "g9/app9", "gitlab-catalog",
			[]registrytest.Kind{registrytest.Details, registrytest.Catalog, registrytest.Tags, registrytest.Tags, registrytest.Tags},
			[]string{"", "x"},
		},
		{
			"an image without layers", "g9/thin9", "gitlab-catalog",
			[]registrytest.Kind{registrytest.Details, registrytest.Catalog, registrytest.Tags},
			[]string{""},
		},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			server := registrytest.NewServer(t, registrytest.Options{Collation: registrytest.Glibc})
			for _, path := range []string{"g/app", "g/app/x", "g/app9", "g/app9/x", "g/app-9", "g9/app9", "g9/app9/x", "g9/app-9/x"} {
				server.Push(path, "v1")
			}
			server.Push("g9/app9/emptied")
			server.PushSized("g9/thin9", 0, "v1")
			client := newClient(t, server.URL)
			s := survey(t, client, test.path)
			server.Forget()
			got, evidence, err := listIn(t, s, test.path)
			if err != nil || evidence.Method != test.method {
				t.Fatalf("method = %q, %v, want %q", evidence.Method, err, test.method)
			}
			if diff := cmp.Diff(test.listed, got); diff != "" {
				t.Errorf("listing (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(test.requests, kinds(server.Requests())); diff != "" {
				t.Errorf("requests (-want +got):\n%s", diff)
			}
		})
	}
}

func kinds(requests []registrytest.Request) (kinds []registrytest.Kind) {
	for _, req := range requests {
		kinds = append(kinds, req.Kind)
	}
	return kinds
}

func TestP7_CatalogNotGrantedIsSaidAndNoOutage(t *testing.T) {
	key := newKey(t, "ES256 PKCS8")
	server := registrytest.NewServer(t, registrytest.Options{Auth: &registrytest.Auth{Keys: key.public, NoCatalog: true}})
	server.Push("g9/app9", "v1")
	client := newClient(t, server.URL, key.use)
	_, _, err := list(t, client, "g9/app9")
	if answer := failure(t, err); answer.Outage() || !strings.Contains(answer.Reason, "registry:catalog:*") {
		t.Errorf("error = %v, want the project's, naming registry:catalog:*", err)
	}
}

func TestP7_AWalkServesAllProjectsOfItsBatch(t *testing.T) {
	server := registrytest.NewServer(t, registrytest.Options{Collation: registrytest.ICU})
	var paths []string
	for i := range 30 {
		path := fmt.Sprintf("g/app%d9", i)
		server.Push(path+"/x", "v1")
		paths = append(paths, path)
	}
	client := newClient(t, server.URL, pageSize(10))
	s := survey(t, client, paths...)
	server.Forget()
	for _, path := range paths {
		if got, evidence, err := listIn(t, s, path); err != nil || !slices.Equal(got, []string{"x"}) || evidence.Pages != 4 {
			t.Errorf("%s: listing = %v, %+v, %v", path, got, evidence, err)
		}
	}
	// Three full pages, an empty one, and two looks whether that is the end.
	if got := len(server.Requests()); got != 6 {
		t.Errorf("%d requests for %d projects, want 6", got, len(paths))
	}
}

// inMemory is a way to a registry without a network, for tests of time.
type inMemory struct{ http.Handler }

func (m inMemory) RoundTrip(req *http.Request) (*http.Response, error) {
	w := httptest.NewRecorder()
	m.ServeHTTP(w, req)
	resp := w.Result()
	resp.Request = req
	return resp, nil
}

// TestP7_AGroupsListingGrowsOld deletes a repository while its batch is long.
func TestP7_AGroupsListingGrowsOld(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fake := registrytest.New(registrytest.Options{Collation: registrytest.ICU})
		for _, path := range []string{"g/a9", "g/b9", "g/c9"} {
			fake.Push(path, "v1")
		}
		client := newClient(t, "http://registry.example.com")
		client.Through(inMemory{fake})
		s := survey(t, client, "g/a9", "g/b9", "g/c9")
		for _, step := range []struct {
			path             string
			listed, requests int
		}{{"g/a9", 1, 1}, {"g/b9", 1, 0}, {"g/c9", 0, 1}} {
			fake.Forget()
			got, _, err := listIn(t, s, step.path)
			if err != nil || len(got) != step.listed || fake.Count() != step.requests {
				t.Errorf("%s: listing = %q, %v after %d requests, want %d of %d", step.path, got, err, fake.Count(), step.listed, step.requests)
			}
			fake.Delete("g/c9")
			time.Sleep(20 * time.Second)
		}
	})
}

func TestP7_ASharedWalkThatFailsIsBegunThreeTimes(t *testing.T) {
	server := registrytest.NewServer(t, registrytest.Options{})
	server.Push("g/app9", "v1")
	client := newClient(t, server.URL)
	s := survey(t, client, "g/app9", "g/b9", "g/c9", "g/d9", "g/e9")
	remove := server.Fail(registrytest.Where{Kind: registrytest.List}, registrytest.Status(503, "UNAVAILABLE"))
	for range 5 { // the registry's failures do not count
		if _, _, err := listIn(t, s, "g/app9"); !failure(t, err).Outage() {
			t.Fatal(err)
		}
	}
	remove()
	server.Fail(registrytest.Where{Kind: registrytest.List}, registrytest.Status(500, "UNKNOWN"))
	server.Forget()
	for _, path := range []string{"g/app9", "g/b9", "g/c9", "g/d9", "g/e9"} {
		if _, _, err := listIn(t, s, path); failure(t, err).StatusCode != 500 {
			t.Errorf("%s: %v, want the 500", path, err)
		}
	}
	if got := len(server.Requests()); got != 3 {
		t.Errorf("%d requests, want 3", got)
	}
}
