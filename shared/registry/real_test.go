package registry_test

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"regmend/shared/gitlab"
	"regmend/shared/registry"
	"regmend/shared/servers"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/remote"
)

// realRegistry is a real registry with real images: these repositories, each
// with a tag, and one that lost it.
func realRegistry(t *testing.T, repositories []string, emptied string, env ...string) *servers.Registry {
	t.Helper()
	running, err := servers.StartRegistry(t.Context(), t.TempDir(), env...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := running.Stop(); err != nil {
			t.Error(err)
		}
	})
	for _, repository := range repositories {
		push(t, running, repository)
	}
	if emptied != "" {
		digest := push(t, running, emptied)
		if err := remote.Delete(digest); err != nil {
			t.Fatal(err)
		}
	}
	return running
}

func push(t *testing.T, running *servers.Registry, repository string) name.Digest {
	t.Helper()
	image, err := random.Image(64, 1)
	if err != nil {
		t.Fatal(err)
	}
	tag, err := name.NewTag(running.Addr+"/"+repository+":v1", name.Insecure)
	if err != nil {
		t.Fatal(err)
	}
	if err := remote.Write(tag, image); err != nil {
		t.Fatal(err)
	}
	digest, err := image.Digest()
	if err != nil {
		t.Fatal(err)
	}
	return tag.Digest(digest.String())
}

// copyRepository makes another repository with the images of one, in the
// registry's folder, which is faster than to push them.
func copyRepository(t *testing.T, running *servers.Registry, from, to string) {
	t.Helper()
	all := filepath.Join(running.Dir, "images", "docker", "registry", "v2", "repositories")
	for _, part := range []string{"_layers", "_manifests"} {
		if err := os.CopyFS(filepath.Join(all, to, part), os.DirFS(filepath.Join(all, from, part))); err != nil {
			t.Fatal(err)
		}
	}
}

func TestRealDistribution(t *testing.T) {
	repositories := []string{"g/app", "g/app/x", "g/app/x/y", "g/app-x", "g/app9", "g/app.z/a", "g_a/p", "zzz/zzz", "other"}
	running := realRegistry(t, repositories, "g/app/emptied")
	for i := range 120 { // more than the page that registries give of their own accord
		repositories = append(repositories, fmt.Sprintf("many/p/r%03d", i))
		copyRepository(t, running, "g/app", repositories[len(repositories)-1])
	}
	client := newClient(t, running.URL)

	found, err := client.Probe(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	want := registry.Capabilities{API: registry.Distribution, Identity: running.URL + " (distribution)"}
	if diff := cmp.Diff(want, found); diff != "" {
		t.Errorf("Probe() (-want +got):\n%s", diff)
	}

	projects := []string{"g/app", "g/app9", "g/app-x", "g/app.z", "g_a/p", "zzz/zzz", "many/p", "none/none"}
	s := survey(t, client, projects...)
	for _, path := range projects {
		wantNames := owned(path, append(slices.Clone(repositories), "g/app/emptied"))
		got, evidence, err := listIn(t, s, path)
		if err != nil || !slices.Equal(got, wantNames) {
			t.Errorf("%s: listing = %v, %v, want %v", path, got, err, wantNames)
		}
		if diff := cmp.Diff(gitlab.Evidence{Method: "distribution", Pages: 1, Listed: len(wantNames)}, evidence); diff != "" {
			t.Errorf("%s: evidence (-want +got):\n%s", path, diff)
		}
	}
	for path, want := range map[string]bool{"g/app/x": true, "g/app/emptied": false, "g/never": false} {
		if got, err := client.Tagged(t.Context(), path); err != nil || got != want {
			t.Errorf("Tagged(%s) = %v, %v, want %v", path, got, err, want)
		}
		if got, err := client.Holds(t.Context(), path); err != nil || got != want {
			t.Errorf("Holds(%s) = %v, %v, want %v", path, got, err, want)
		}
	}
	in, err := client.Inspect(t.Context(), []string{"g/app"})
	if err != nil || in.Challenge.Scheme != "" || !in.Pull.Granted || !in.Catalog.Granted || in.CatalogLarge || in.List.Asked {
		t.Errorf("Inspect() = %+v, %v", in, err)
	}
}

func TestRealDistributionEmpty(t *testing.T) {
	running := realRegistry(t, nil, "")
	got, evidence, err := list(t, newClient(t, running.URL), "g/p")
	if err != nil || len(got) > 0 || evidence.Pages != 1 {
		t.Errorf("listing = %v, %+v, %v", got, evidence, err)
	}
}

// Debian's distribution pages by what it was configured for.
func TestRealDistributionWithASmallCatalogPage(t *testing.T) {
	running := realRegistry(t, []string{"g/p/r000"}, "", "REGISTRY_CATALOG_MAXENTRIES=100")
	const repositories = 230
	for i := range repositories - 1 {
		copyRepository(t, running, "g/p/r000", fmt.Sprintf("g/p/r%03d", i+1))
	}
	got, evidence, err := list(t, newClient(t, running.URL), "g/p")
	if err != nil || len(got) != repositories || evidence.Pages != 3 {
		t.Errorf("listing = %d names in %d pages, %v, want %d in 3", len(got), evidence.Pages, err, repositories)
	}
}

// What a user's password opens, by a real htpasswd file's hash.
func TestRealDistributionWithBasic(t *testing.T) {
	running := realRegistry(t, nil, "", "REGISTRY_AUTH=htpasswd", "REGISTRY_AUTH_HTPASSWD_REALM=private", "REGISTRY_AUTH_HTPASSWD_PATH="+htpasswd(t))
	client := newClient(t, running.URL, withPassword)
	if _, err := client.Probe(t.Context()); err != nil {
		t.Errorf("with the password: %v", err)
	}
	_, err := newClient(t, running.URL).Probe(t.Context())
	if answer := failure(t, err); answer.StatusCode != http.StatusUnauthorized || !strings.Contains(answer.Reason, "no credentials") {
		t.Errorf("without: %v", err)
	}
}

// htpasswd is a file with the hash of the password.
func htpasswd(t *testing.T) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "htpasswd")
	const hash = "$2b$04$ql9LFzvxqfLfK2ksS/zeteMjnomjM7S8SzbsNoY5eNIMNsYR3cARy"
	if err := os.WriteFile(file, []byte(username+":"+hash+"\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	return file
}
