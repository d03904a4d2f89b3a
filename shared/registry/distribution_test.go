package registry_test

import (
	"fmt"
	"slices"
	"testing"

	"regmend/shared/gitlab"
	"regmend/shared/registry"
	"regmend/shared/registry/registrytest"

	"github.com/google/go-cmp/cmp"
)

func TestDistributionWalksTheCatalogOnceForABatch(t *testing.T) {
	server := registrytest.NewServer(t, registrytest.Options{Mode: registrytest.Distribution})
	var paths []string
	for i := range 100 {
		path := fmt.Sprintf("g/app%03d", i)
		paths = append(paths, path)
		server.Push(path+"/x", "v1")
		server.Push(path+"-x/foreign", "v1")
		server.Push(path + "/y/z/emptied")
		pushMany(server.Registry, path+"0", 20)
	}
	client := newClient(t, server.URL)
	s := survey(t, client, paths...)
	if s.NonEmpty() {
		t.Error("NonEmpty() = true: distribution lists repositories without tags")
	}
	server.Forget()
	for _, path := range paths {
		got, evidence, err := listIn(t, s, path)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff([]string{"x", "y/z/emptied"}, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", path, diff)
		}
		if diff := cmp.Diff(gitlab.Evidence{Method: "distribution", Pages: 3, Listed: 2}, evidence); diff != "" {
			t.Errorf("%s: evidence (-want +got):\n%s", path, diff)
		}
	}
	if got := server.Count(); got != 3 {
		t.Errorf("%d requests for a batch of %d, want 3", got, len(paths))
	}
}

func TestDistributionWithASmallerCatalogPage(t *testing.T) {
	server := registrytest.NewServer(t, registrytest.Options{Mode: registrytest.Distribution, CatalogLimit: 500})
	want := pushMany(server.Registry, "g/p", 250)
	client := newClient(t, server.URL)
	for range 2 {
		got, evidence, err := list(t, client, "g/p")
		if err != nil || !slices.Equal(got, want) || evidence.Pages != 3 {
			t.Errorf("listing = %d names, %+v, %v, want %d in 3 pages", len(got), evidence, err, len(want))
		}
	}
	if got := len(server.Requests(registrytest.Catalog)); got != 7 {
		t.Errorf("%d requests, want 7: the refused size is not asked for again", got)
	}
}

func TestDistributionEmptyCatalog(t *testing.T) {
	server := registrytest.NewServer(t, registrytest.Options{Mode: registrytest.Distribution})
	got, evidence, err := list(t, newClient(t, server.URL), "g/p")
	if err != nil || len(got) > 0 || evidence.Pages != 1 {
		t.Errorf("listing = %v, %+v, %v", got, evidence, err)
	}
}

func TestTagged(t *testing.T) {
	for name, mode := range map[string]registrytest.Mode{"GitLab": registrytest.GitLab, "distribution": registrytest.Distribution} {
		t.Run(name, func(t *testing.T) {
			server := registrytest.NewServer(t, registrytest.Options{Mode: mode})
			server.Push("g/p", "v1", "v2")
			server.Push("g/emptied", "v1")
			server.Untag("g/emptied")
			client := newClient(t, server.URL)
			for path, want := range map[string]bool{"g/p": true, "g/emptied": false, "g/never": false} {
				if got, err := client.Tagged(t.Context(), path); err != nil || got != want {
					t.Errorf("Tagged(%s) = %v, %v, want %v", path, got, err, want)
				}
			}
			for _, path := range []string{"", "g/../x", "G/P", "g/p?x", "g//p"} {
				if _, err := client.Tagged(t.Context(), path); err == nil || failure(t, err).Outage() {
					t.Errorf("Tagged(%q): %v, want an error that is the path's", path, err)
				}
			}
		})
	}
}

func TestTaggedStopsAtTheFirstTag(t *testing.T) {
	tests := map[string]struct {
		tagged, wrong bool
	}{
		`{"name":"g/p","tags":["v1","v2"]}`: {true, false},
		`{"tags":["v1"`:                     {true, false}, // a tag is there, whatever follows
		`{"name":"g/p","tags":null}`:        {false, false},
		`{"name":"g/p","tags":[]}`:          {false, false},
		`{"name":"g/p"}`:                    {false, true},
		`{"tags":[`:                         {false, true},
		`{"tags":[]`:                        {false, true},
		`{"tags":[1]}`:                      {false, true},
		`{"tags":{}}`:                       {false, true},
		`{"tags":"v1"}`:                     {false, true},
		`{"tags":[],"tags":["v1"]}`:         {false, true},
		`null`:                              {false, true},
		`<html>`:                            {false, true},
		``:                                  {false, true},
	}
	for body, want := range tests {
		tagged, err := registry.DecodeTagged(body)
		if tagged != want.tagged || (err != nil) != want.wrong {
			t.Errorf("DecodeTagged(%s) = %v, %v", body, tagged, err)
		}
	}
}

func TestP7_SizeMustBeOne(t *testing.T) {
	tests := map[string]bool{ // body: whether it is a size
		`{"name":"p","path":"g/p","size_bytes":0,"created_at":""}`:           true,
		`{"size_bytes":12345678901,"created_at":"2026-01-02T03:04:05.000Z"}`: true,
		`{}`:                              false,
		`{"size_bytes":null}`:             false,
		`{"size_bytes":-1}`:               false,
		`{"size_bytes":0.5}`:              false,
		`{"size_bytes":1e300}`:            false,
		`{"size_bytes":"0"}`:              false,
		`{"size_bytes":1,"size_bytes":0}`: false,
		`null`:                            false,
		`[]`:                              false,
		``:                                false,
	}
	for body, want := range tests {
		if _, _, err := registry.DecodeSize(body); (err == nil) != want {
			t.Errorf("DecodeSize(%s): %v", body, err)
		}
	}
}
