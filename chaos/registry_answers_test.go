package main

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"regmend/shared/gitlab"
	"regmend/shared/gitlab/gitlabtest"
	"regmend/shared/registry"
)

// What regmend's client makes of an answer.
const (
	asRight   = "the right listing"
	asProject = "the project's failure, as far as can be told"
	asOutage  = "the registry's failure"
)

// singles says of each single bad answer what it looks like on the wire, and
// what regmend's client may make of it.
var singles = map[string]struct {
	wire    string // in status, headers, body and error
	verdict string
}{
	"500-one-path":           {`500 .*"UNKNOWN"`, asProject},
	"429-once-integer":       {`429 .*Retry-After:\[[12]\]`, asOutage},
	"429-once-float":         {`429 .*Retry-After:\[[12]\.\d{6}\]|429 .*Retry-After:\[0\.9\d*\]`, asOutage},
	"429-once-date":          {`429 .*Retry-After:\[\w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d GMT\]`, asOutage},
	"502-html-once":          {`502 .*text/html.*502 Bad Gateway`, asProject},
	"503-once":               {`503 .*"UNAVAILABLE`, asOutage},
	"404-empty-once":         {`404 .*Registry-Version.* <> after`, asOutage},
	"404-text-once":          {`404 .*text/plain.*404 page not found`, asOutage},
	"401-once":               {`401 .*realm="https://127\.0\.0\.2:\d+/jwt/auth"`, asRight},
	"cut":                    {`200 .*: (unexpected EOF|stream error.*)$`, asProject},
	"truncated":              {`200 .*: <nil>$`, asProject},
	"invalid-json":           {`200 `, asProject},
	"wrong-types":            {`200 `, asProject},
	"html-200":               {`200 .*text/html.*<!DOCTYPE html>`, asProject},
	"null-200":               {`200 .*<null>`, asProject},
	"empty-body-200":         {`200 .* <> after`, asProject},
	"page-repeated-for-ever": {`200 .*Link:\[<.*last=\S+&chaos=same>; rel="next"\]`, asProject},
	"link-other-host":        {`200 .*Link:\[<https://127\.0\.0\.2:\d+/gitlab/v1/.*last=`, asRight},
	"link-to-itself":         {`200 .*Link:\[</gitlab/v1/[^?]*\?n=100>; rel="next"\]`, asProject},
	"link-long":              {`200 .*Link:\[<\S{650}`, asRight},
	"link-commas":            {`200 .*Link:\[</elsewhere\?a,b>; rel="prev"; .*some=a,b,c>; title="one, `, asRight},
	"redirect-other-host":    {`302 .*Location:\[https://127\.0\.0\.2:\d+/gitlab/v1/`, asProject},
	"name-10mb":              {`200 .*\[\{"path":"grp/\S*/xxxxxx`, asProject},
	"nul-in-name":            {`200 .*a\\u0000b`, asProject},
	"invalid-utf8":           {`200 .*a\x{FFFD}b`, asProject},
	"duplicates-over-pages":  {`200 .*Link:\[<[^>]*last=0&n=100>; rel="next"\]`, asRight},
	"entries-of-others":      {`200 .*"nobody`, asRight},
	"trickled-once":          {`200 `, asRight},
	"connection-dropped":     {`(EOF|stream error.*)$`, asOutage},
}

// ways is how many of the answers of one kind are looked at, besides the first.
var ways = map[string]int{"cut": 10, "truncated": 10, "invalid-json": 20, "wrong-types": 30}

// Small projects, those of more than two pages, and what they are called, by
// kind: bad answers are given side by side.
const small, large = 3, 220

func singlePath(k kind, n int) string {
	return fmt.Sprintf("grp/%s-%d/App1", strings.TrimPrefix(k.name, "registry/"), n)
}

func singleProjects() map[string]int {
	projects := map[string]int{"nobody": 1}
	for _, k := range singleKinds() {
		projects[singlePath(k, small)], projects[singlePath(k, large)] = small, large
	}
	return projects
}

func TestSingleBadAnswers(t *testing.T) {
	t.Parallel()
	in := registryInstallation(t, singleProjects())
	for _, http2 := range []bool{false, true} {
		t.Run(fmt.Sprint("http2 ", http2), func(t *testing.T) {
			in.registry.handshake.http2.Store(http2)
			c, client := newCaller(t, in.registry), newRegistryClient(t, in.registry)
			if s := c.ask(t.Context(), "grp/app"); (s.proto == "HTTP/2.0") != http2 {
				t.Fatalf("protocol is %s", s.proto)
			}
			// In a group of their own, as the next round changes the protocol.
			t.Run("kind", func(t *testing.T) {
				for _, k := range singleKinds() {
					for _, n := range []int{small, large} {
						if n == large && (http2 || k.name == "registry/trickled-once" || k.name == "registry/name-10mb") {
							continue // that takes long
						}
						t.Run(fmt.Sprint(k.name, " ", n), func(t *testing.T) {
							t.Parallel()
							checkSingle(t, in.registry, k, gitlabtest.Project{FullPath: singlePath(k, n)}, client)
						})
					}
				}
			})
		})
	}
	if n := in.registry.strangers(); n != 0 {
		t.Errorf("the stranger was asked %d times", n)
	}
}

func checkSingle(t *testing.T, r *registrySide, k kind, p gitlabtest.Project, client *registry.Client) {
	name := strings.TrimPrefix(k.name, "registry/")
	want, known := singles[name]
	if !known {
		t.Fatal("nothing is known of it")
	}
	path, dice := strings.ToLower(p.FullPath), rand.New(rand.NewPCG(1, 1))
	c := newCaller(t, r) // whose connection is new, so that nothing is sent again
	given, _ := r.spoil(p.FullPath, k.spoil(p, dice))
	if given() {
		t.Error("it was given before it was asked for")
	}
	if s := c.ask(t.Context(), path); !matches(want.wire, s.String()) {
		t.Errorf("on the wire it is %s, want %s", s, want.wire)
	}
	if !given() {
		t.Error("it was not given")
	}
	c.whole(path)

	given, remove := r.spoil(p.FullPath, k.spoil(p, dice))
	remove()
	c.whole(path)
	if given() {
		t.Error("it was given after it was taken back")
	}

	for range ways[name] + 1 {
		r.spoil(p.FullPath, k.spoil(p, dice))
		if got, err := verdictOf(t, client, p.FullPath, r.below(path)); got != want.verdict && !transparent(k, got) {
			t.Errorf("regmend's client has %s (%v), want %s", got, err, want.verdict)
		}
	}
}

// transparent tells whether a verdict better than the usual one may come of it:
// net/http sends a request again if it had no answer on a used connection, and
// what is cut behind the listing's end was not cut off.
func transparent(k kind, got string) bool {
	return got == asRight && (k.name == "registry/connection-dropped" || k.name == "registry/truncated")
}

func newRegistryClient(t *testing.T, r *registrySide) *registry.Client {
	t.Helper()
	env := r.env()
	client, err := registry.New(registry.Config{
		URL: env["REGMEND_REGISTRY_URL"], CAFile: env["REGMEND_REGISTRY_CA_FILE"],
		TokenKeyFile: env["REGMEND_REGISTRY_TOKEN_KEY_FILE"], PageSize: func() int { return 100 },
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	return client
}

// verdictOf is what regmend's client makes of a listing. A listing that it takes
// for one has to be right, and so must its evidence.
func verdictOf(t *testing.T, client *registry.Client, fullPath string, want []string) (string, error) {
	t.Helper()
	p := gitlab.Project{ID: 1, FullPath: fullPath}
	survey, err := client.Survey(t.Context(), []gitlab.Project{p})
	var got []string
	var evidence gitlab.Evidence
	if err == nil {
		evidence, err = survey.List(t.Context(), p, func(page []gitlab.Repository) error {
			for _, r := range page {
				got = append(got, p.RepositoryPath(r.Name))
			}
			return nil
		})
	}
	var answer *registry.Error
	switch {
	case err == nil:
		slices.Sort(got)
		if got = slices.Compact(got); !slices.Equal(got, want) {
			return "a wrong listing", fmt.Errorf("%d entries %.300v, want %d", len(got), got, len(want))
		}
		if evidence.Listed != len(want) {
			return "wrong evidence", fmt.Errorf("%+v, want %d listed", evidence, len(want))
		}
		return asRight, nil
	case !errors.As(err, &answer):
		return "an error of another type", err
	case answer.Outage():
		return asOutage, err
	default:
		return asProject, err
	}
}
