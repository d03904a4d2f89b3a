package registry_test

import (
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"regmend/shared/gitlab"
	"regmend/shared/registry"
	"regmend/shared/registry/registrytest"

	"github.com/google/go-cmp/cmp"
)

// badAnswers are answers that are no listing, and whose failure each is by
// itself.
var badAnswers = []struct {
	name   string
	fault  registrytest.Fault
	outage bool
	times  int // 0: whenever the page is asked for
}{
	{"null", registrytest.Null(), false, 0},
	{"HTML with status 200", registrytest.HTML(), false, 0},
	{"an empty body with status 200", registrytest.Body(""), false, 0},
	{"the other API's body", registrytest.Body(`{"tags":[]}`), false, 0},
	{"a body cut in the middle", registrytest.CutAt(20), false, 0},
	{"an empty listing that is the beginning of a body cut", cutAfter("[]"), false, 0},
	{"a body cut before its last byte, at a smaller length", registrytest.Body(`[{"path":"g/p"}`), false, 0},
	{"text after the end", registrytest.Body(`[] []`), false, 0},
	{"two documents", registrytest.Body(`{"repositories":[]}{"repositories":["g/p"]}`), false, 0},
	{"an entry without path", registrytest.Body(`[{"name":"p"}]`), false, 0},
	{"an entry that is null", registrytest.Body(`[null]`), false, 0},
	{"an entry with two paths", registrytest.Body(`[{"path":"g/p","path":"g/q"}]`), false, 0},
	{"repositories null", registrytest.Body(`{"repositories":null}`), false, 0},
	{"repositories twice", registrytest.Body(`{"repositories":["g/p"],"repositories":[]}`), false, 0},
	{"no repositories", registrytest.Body(`{}`), false, 0},
	{"a NUL in a name", registrytest.Body(`[{"path":"g/p\u0000"}]`), false, 0},
	{"a name that is not UTF-8", registrytest.Body("[{\"path\":\"g/p\xff\"}]"), false, 0},
	{"half a surrogate in a name", registrytest.Body(`[{"path":"g/p\ud800"}]`), false, 0},
	{"a name without end", registrytest.Body(`[{"path":"g/p/` + strings.Repeat("x", 2000) + `"}]`), false, 0},
	{"a body beyond the limit", registrytest.Body("[" + strings.Repeat(" ", 1<<20) + "]"), false, 0},
	{"a coding nobody asked for", registrytest.Answer(200, map[string]string{"Content-Encoding": "gzip"}, "[]"), false, 0},
	{"a Link back to the page", registrytest.RepeatPage(), false, 0},
	{"a Link without last", registrytest.Link(`</gitlab/v1/repository-paths/g/p/repositories/list/?n=2>; rel="next"`), false, 0},
	{"a Link to another route", registrytest.Link(`</v2/x/tags/list?last=a>; rel="next"`), false, 1},
	{"a Link that is cut", registrytest.Link(`</gitlab/v1/repository-paths/g/p/repositories/list/?last=a`), false, 0},
	{"two different next pages", registrytest.Link(`<?last=a>; rel=next, <?last=b>; rel=next`), false, 0},
	{"201", registrytest.Answer(201, nil, "[]"), false, 0},
	{"204", registrytest.Status(204, ""), false, 0},
	{"206", registrytest.Answer(206, nil, "[]"), false, 0},
	{"a redirect", registrytest.Redirect("https://elsewhere.example.com/?secret"), false, 0},
	{"400", registrytest.Status(400, "INVALID_QUERY_PARAMETER_VALUE"), false, 0},
	{"401", registrytest.Status(401, "UNAUTHORIZED"), true, 0},
	{"403", registrytest.Status(403, "DENIED"), false, 0},
	{"404 without body", registrytest.Status(404, ""), true, 0},
	{"404 of a web server", registrytest.Answer(404, map[string]string{"Content-Type": "text/plain"}, "404 page not found"), true, 0},
	{"404 with another code", registrytest.Status(404, "MANIFEST_UNKNOWN"), true, 0},
	{"404 that says two things", registrytest.Answer(404, nil, `{"errors":[{"code":"NAME_UNKNOWN"},{"code":"UNKNOWN"}]}`), true, 0},
	{"404 with a code twice", registrytest.Answer(404, nil, `{"errors":[{"code":"X","code":"NAME_UNKNOWN"}]}`), true, 0},
	{"404 cut", registrytest.Answer(404, nil, `{"errors":[{"code":"NAME_UNKNOWN"}]`), true, 0},
	{"404 with text behind", registrytest.Answer(404, nil, `{"errors":[{"code":"NAME_UNKNOWN"}]} x`), true, 0},
	{"NAME_UNKNOWN with status 200", registrytest.Answer(200, nil, `{"errors":[{"code":"NAME_UNKNOWN"}]}`), false, 0},
	{"NAME_UNKNOWN with status 500", registrytest.Status(500, "NAME_UNKNOWN"), false, 0},
	{"429", registrytest.TooMany("1.000000"), true, 0},
	{"500", registrytest.Status(500, "UNKNOWN"), false, 0},
	{"502", registrytest.Status(502, ""), false, 0},
	{"503", registrytest.Status(503, "UNAVAILABLE"), true, 0},
	{"504", registrytest.Status(504, ""), false, 0},
	{"no answer", registrytest.Drop(), true, 0},
	{"an answer that hangs", registrytest.Hang(), false, 0},
	{"an answer that trickles", registrytest.Trickle(50 * time.Millisecond), false, 0},
}

// cutAfter promises more than that and drops the connection.
func cutAfter(start string) registrytest.Fault {
	return func(http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "100")
			_, _ = io.WriteString(w, start)           // the client has gone
			_ = http.NewResponseController(w).Flush() // the client has gone
			panic(http.ErrAbortHandler)
		})
	}
}

func TestP3_OnlyAWholeListingIsOne(t *testing.T) {
	places := []struct {
		name string
		mode registrytest.Mode
		kind registrytest.Kind
		page int
	}{
		{"first page", registrytest.GitLab, registrytest.List, 1},
		{"third page", registrytest.GitLab, registrytest.List, 3},
		{"first page of the catalog", registrytest.Distribution, registrytest.Catalog, 1},
		{"second page of the catalog", registrytest.Distribution, registrytest.Catalog, 2},
	}
	for _, place := range places {
		for _, bad := range badAnswers {
			t.Run(place.name+"/"+bad.name, func(t *testing.T) {
				t.Parallel()
				server := registrytest.NewServer(t, registrytest.Options{Mode: place.mode})
				pushMany(server.Registry, "g/p", 1005)
				server.Fail(registrytest.Where{Kind: place.kind, Page: place.page, Times: bad.times}, bad.fault)
				client := newClient(t, server.URL, pageSize(2), func(cfg *registry.Config) {
					cfg.MaxBody = 1 << 20
					cfg.RequestTimeout = 300 * time.Millisecond
					cfg.ProjectTimeout = 3 * time.Second
				})
				_, evidence, err := list(t, client, "g/p")
				answer := failure(t, err)
				if diff := cmp.Diff(gitlab.Evidence{}, evidence); diff != "" {
					t.Errorf("evidence of no listing (-want +got):\n%s", diff)
				}
				if got := server.Count(); got > 10 {
					t.Errorf("%d requests: it went on", got)
				}
				if answer.Outage() != bad.outage {
					t.Errorf("Outage() = %v, want %v: %v", answer.Outage(), bad.outage, err)
				}
				if strings.Contains(err.Error(), "?") || strings.Contains(err.Error(), "\n") {
					t.Errorf("error is not one line without a query: %q", err)
				}
			})
		}
	}
}

func TestP3_NameUnknownIsZeroOnTheFirstPageOnly(t *testing.T) {
	server := registrytest.NewServer(t, registrytest.Options{})
	names := pushMany(server.Registry, "g/p", 3)
	client := newClient(t, server.URL, pageSize(2))

	got, evidence, err := list(t, client, "other/p")
	if err != nil || len(got) != 0 {
		t.Fatalf("listing of an unknown namespace = %v, %v, want none", got, err)
	}
	if diff := cmp.Diff(gitlab.Evidence{Method: "gitlab", Pages: 1}, evidence); diff != "" {
		t.Errorf("evidence (-want +got):\n%s", diff)
	}

	remove := server.Fail(registrytest.Where{Kind: registrytest.List, Page: 2}, registrytest.Status(404, "NAME_UNKNOWN"))
	if _, _, err := list(t, client, "g/p"); failure(t, err).Outage() {
		t.Errorf("error = %v, want the project's", err)
	}
	remove()
	if got, _, err := list(t, client, "g/p"); err != nil || !cmp.Equal(got, names) {
		t.Errorf("listing = %v, %v, want %v", got, err, names)
	}
}

func TestP3_MetadataDatabaseOffIsSaid(t *testing.T) {
	server := registrytest.NewServer(t, registrytest.Options{Mode: registrytest.GitLabNoDatabase})
	client := newClient(t, server.URL, func(cfg *registry.Config) { cfg.API = registry.GitLab })
	_, err := client.Probe(t.Context())
	if answer := failure(t, err); !answer.Outage() || !strings.Contains(answer.Reason, "metadata database off") {
		t.Errorf("error = %v, want one that says the metadata database is off", err)
	}
}

func TestRetryAfter(t *testing.T) {
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	tests := map[string]time.Duration{
		"":                              0,
		"1.000000":                      time.Second,
		"0.25":                          250 * time.Millisecond,
		"30":                            30 * time.Second,
		" 5 ":                           5 * time.Second,
		"-1":                            0,
		"NaN":                           0,
		"Inf":                           24 * time.Hour,
		"1e300":                         24 * time.Hour,
		"soon":                          0,
		now.Format(http.TimeFormat):     0,
		"Fri, 02 Jan 2026 03:05:05 GMT": time.Minute,
		"Fri, 02 Jan 2099 03:05:05 GMT": 24 * time.Hour,
	}
	for value, want := range tests {
		if got := registry.RetryAfter(value, now); got != want {
			t.Errorf("RetryAfter(%q) = %v, want %v", value, got, want)
		}
	}
}

// The registry's clock need not be ours.
func TestADateToRetryAfterIsOfTheRegistrysClock(t *testing.T) {
	server := registrytest.NewServer(t, registrytest.Options{})
	client := newClient(t, server.URL)
	s := survey(t, client, "g/p")
	server.Fail(registrytest.Where{Kind: registrytest.List}, registrytest.Answer(429, map[string]string{
		"Date": "Fri, 02 Jan 2026 03:04:05 GMT", "Retry-After": "Fri, 02 Jan 2026 03:04:50 GMT",
	}, ""))
	_, _, err := listIn(t, s, "g/p")
	if answer := failure(t, err); answer.RetryAfter != 45*time.Second {
		t.Errorf("RetryAfter = %s, want 45s", answer.RetryAfter)
	}
}

func TestErrorTellsRetryAfter(t *testing.T) {
	server := registrytest.NewServer(t, registrytest.Options{})
	client := newClient(t, server.URL)
	s := survey(t, client, "g/p")
	server.Fail(registrytest.Where{Kind: registrytest.List}, registrytest.TooMany("2.500000"))
	_, _, err := listIn(t, s, "g/p")
	answer := failure(t, err)
	if answer.RetryAfter != 2500*time.Millisecond || answer.StatusCode != 429 || answer.Code != "TOOMANYREQUESTS" {
		t.Errorf("error = %+v", answer)
	}
	if got := len(server.Requests(registrytest.List)); got != 1 {
		t.Errorf("%d requests, want 1: whoever calls holds", got)
	}
}

func TestNoConnectionIsAnOutage(t *testing.T) {
	client := newClient(t, "http://127.0.0.1:1")
	_, err := client.Probe(t.Context())
	if answer := failure(t, err); !answer.Outage() || answer.StatusCode != 0 {
		t.Errorf("error = %+v, want an outage without status", answer)
	}
}
