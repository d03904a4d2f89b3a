package registry_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"regmend/shared/registry"
	"regmend/shared/registry/registrytest"

	"github.com/google/go-cmp/cmp"
)

func TestProbe(t *testing.T) {
	tests := []struct {
		name string
		mode registrytest.Mode
		want registry.Capabilities
		note bool
	}{
		{"GitLab's", registrytest.GitLab, registry.Capabilities{API: registry.GitLab, Version: "4.32.0-gitlab", MetadataDatabase: "true"}, false},
		{"GitLab's without database", registrytest.GitLabNoDatabase, registry.Capabilities{API: registry.Distribution, Version: "4.32.0-gitlab", MetadataDatabase: "false"}, true},
		{"distribution", registrytest.Distribution, registry.Capabilities{API: registry.Distribution}, false},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			server := registrytest.NewServer(t, registrytest.Options{Mode: test.mode, Prefix: "/p"})
			got, err := newClient(t, server.URL+"/").Probe(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if (got.Note != "") != test.note {
				t.Errorf("note = %q", got.Note)
			}
			got.Note = ""
			test.want.Identity = server.URL + " (" + string(test.want.API) + ")"
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("Probe() (-want +got):\n%s", diff)
			}
		})
	}
}

func TestProbeChoosesNothingWhileItCannotTell(t *testing.T) {
	for _, bad := range badAnswers {
		for _, kind := range []registrytest.Kind{registrytest.Ping, registrytest.Probe} {
			t.Run(string(kind)+"/"+bad.name, func(t *testing.T) {
				t.Parallel()
				server := registrytest.NewServer(t, registrytest.Options{})
				server.Fail(registrytest.Where{Kind: kind}, bad.fault)
				client := newClient(t, server.URL, func(cfg *registry.Config) {
					cfg.RequestTimeout, cfg.MaxBody = 200*time.Millisecond, 1<<20
				})
				got, err := client.Probe(t.Context())
				switch {
				case strings.Contains(bad.name, "Link"), strings.Contains(bad.name, "next pages"), bad.name == "the other API's body",
					bad.name == "an answer that trickles", strings.HasPrefix(bad.name, "repositories null"), bad.name == "no repositories":
					// Nothing is wrong with that here: {} with a header, or an object.
				case kind == registrytest.Probe && strings.HasPrefix(bad.name, "404"):
					if err != nil || got.API != registry.Distribution {
						t.Errorf("Probe() = %+v, %v, want the distribution API", got, err)
					}
				case bad.name == "NAME_UNKNOWN with status 200":
				case err == nil:
					t.Errorf("Probe() = %+v", got)
				}
			})
		}
	}
}

func TestProbeOnlyWhatIsSet(t *testing.T) {
	server := registrytest.NewServer(t, registrytest.Options{})
	client := newClient(t, server.URL, func(cfg *registry.Config) { cfg.API = registry.Distribution })
	got, err := client.Probe(t.Context())
	if err != nil || got.API != registry.Distribution || len(server.Requests(registrytest.Probe)) != 0 {
		t.Errorf("Probe() = %+v, %v", got, err)
	}
	other := registrytest.NewServer(t, registrytest.Options{Mode: registrytest.Distribution})
	client = newClient(t, other.URL, func(cfg *registry.Config) { cfg.API = registry.GitLab })
	if _, err := client.Probe(t.Context()); !failure(t, err).Outage() {
		t.Errorf("GitLab's API where it is not: %v", err)
	}
}

func TestHolds(t *testing.T) {
	for name, collation := range registrytest.Collations() {
		t.Run(name, func(t *testing.T) {
			server := registrytest.NewServer(t, registrytest.Options{Collation: collation})
			for _, path := range []string{"g/p", "g/p9", "g9/x-z", "g/below/x"} {
				server.Push(path, "v1")
			}
			server.Push("g/emptied")
			pushMany(server.Registry, "g/p", 50)
			client := newClient(t, server.URL, pageSize(5))
			for path, want := range map[string]bool{
				"g/p": true, "g/p9": true, "g9/x-z": true, "g/below/x": true,
				"g/below": false, "g/emptied": false, "g/none": false, "g/none9": false, "unknown/x": false,
				"g/-no/path-/of-any": false, // but GitLab may have a row for it
			} {
				server.Forget()
				if got, err := client.Holds(t.Context(), path); err != nil || got != want {
					t.Errorf("Holds(%s) = %v, %v, want %v", path, got, err, want)
				}
				if want && len(server.Requests(registrytest.List, registrytest.Tags)) != 1 {
					t.Errorf("%s: %d requests, want 1", path, server.Count())
				}
			}
			server.Fail(registrytest.Where{Kind: registrytest.List}, registrytest.Null())
			if _, err := client.Holds(t.Context(), "g/p"); err == nil {
				t.Error("null was taken for an answer")
			}
		})
	}
}

func TestInspect(t *testing.T) {
	key := newKey(t, "ES256 PKCS8")
	server := registrytest.NewServer(t, registrytest.Options{
		Collation: registrytest.Glibc, Auth: &registrytest.Auth{Keys: key.public, Realm: "https://gitlab.example.com/jwt/auth"},
	})
	for _, path := range []string{"g/p", "g/p9", "g/q9", "g/y1"} {
		server.Push(path, "v1")
	}
	pushMany(server.Registry, "many", 1000)
	client := newClient(t, server.URL, key.use)
	got, err := client.Inspect(t.Context(), []string{"g/p", "g/p9", "g/q9", "g/none9", "g/y1"})
	if err != nil {
		t.Fatal(err)
	}
	want := registry.Inspection{
		Capabilities: registry.Capabilities{API: registry.GitLab, Version: "4.32.0-gitlab", MetadataDatabase: "true", Identity: server.URL + " (gitlab)"},
		Challenge:    registry.Challenge{Scheme: "bearer", Realm: "https://gitlab.example.com/jwt/auth", Service: "container_registry"},
		Credentials:  "key", Issuer: "gitlab-issuer", Service: "container_registry",
		ClockKnown:   true,
		List:         registry.Grant{Asked: true, Path: "g/p", Granted: true},
		Pull:         registry.Grant{Asked: true, Path: "g/p", Granted: true},
		Catalog:      registry.Grant{Asked: true, Granted: true},
		CatalogLarge: true,
		Compared:     []string{"g/p9", "g/q9", "g/none9"},
		Contradicted: []string{"g/p9", "g/q9"},
	}
	if got.ClockAhead.Abs() > 2*time.Second {
		t.Errorf("clock ahead by %v", got.ClockAhead)
	}
	got.ClockAhead = 0
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("Inspect() (-want +got):\n%s", diff)
	}
}

func TestInspectWithoutRights(t *testing.T) {
	key, other := newKey(t, "ES256 PKCS8"), newKey(t, "ES256 PKCS8")
	server := registrytest.NewServer(t, registrytest.Options{Auth: &registrytest.Auth{Keys: key.public}})
	got, err := newClient(t, server.URL, other.use).Inspect(t.Context(), nil)
	if !failure(t, err).Outage() || got.Challenge.Scheme != "bearer" {
		t.Errorf("Inspect() = %+v, %v", got, err)
	}
	denied := registrytest.NewServer(t, registrytest.Options{Auth: &registrytest.Auth{Keys: key.public, NoCatalog: true}})
	got, err = newClient(t, denied.URL, key.use).Inspect(t.Context(), nil)
	if err != nil || !got.List.Granted || !got.Pull.Granted || got.Catalog.Granted || got.Catalog.Reason == "" {
		t.Errorf("Inspect() = %+v, %v", got, err)
	}
}

func TestLargeAnswersAreTold(t *testing.T) {
	server := registrytest.NewServer(t, registrytest.Options{})
	pushMany(server.Registry, "g/many", 100)
	pushMany(server.Registry, "g/few", 2)
	var seen []bool
	client := newClient(t, server.URL, func(cfg *registry.Config) {
		cfg.Observe = func(a registry.Answered) { seen = append(seen, a.Large) }
	})
	s := survey(t, client, "g/few", "g/many", "g/none", "nobody/app")
	seen = nil
	for _, path := range []string{"g/few", "g/many", "g/none", "nobody/app"} {
		if _, _, err := listIn(t, s, path); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := client.Tagged(t.Context(), "g/few/r00001"); err != nil {
		t.Fatal(err)
	}
	if _, _, err := client.CatalogPage(t.Context(), ""); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]bool{false, true, false, false, false, true}, seen); diff != "" {
		t.Errorf("large (-want +got):\n%s", diff)
	}
}

func TestObserve(t *testing.T) {
	server := registrytest.NewServer(t, registrytest.Options{})
	server.Fail(registrytest.Where{Kind: registrytest.Probe}, registrytest.Drop())
	var seen []int
	client := newClient(t, server.URL, func(cfg *registry.Config) {
		cfg.Observe = func(a registry.Answered) {
			if a.Took <= 0 {
				t.Errorf("an answer after %v", a.Took)
			}
			seen = append(seen, a.Status)
		}
	})
	if _, err := client.Probe(t.Context()); err == nil {
		t.Fatal("no error")
	}
	if diff := cmp.Diff([]int{http.StatusOK, 0}, seen); diff != "" {
		t.Errorf("observed (-want +got):\n%s", diff)
	}
}
