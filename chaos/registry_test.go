package main

import (
	"context"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/base32"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"regmend/shared/gitlab/gitlabtest"
	"regmend/shared/registry/registrytest"
	"regmend/shared/servers"

	"github.com/golang-jwt/jwt/v5"
)

// registryInstallation is one of nothing but the registry. Each project has so
// many repositories.
func registryInstallation(t *testing.T, projects map[string]int) *installation {
	t.Helper()
	in := &installation{dir: t.TempDir(), secrets: map[string]string{}}
	for path, n := range projects {
		p := gitlabtest.Project{ID: int64(len(in.world.Projects) + 1), FullPath: path}
		for i := range n {
			p.Repositories = append(p.Repositories, gitlabtest.Repository{Name: fmt.Sprintf("image%03d", i), Pushed: true, Tagged: true})
		}
		in.world.Projects = append(in.world.Projects, p)
	}
	var err error
	if in.registry, err = in.startRegistry(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := in.registry.stop(); err != nil {
			t.Error(err)
		}
	})
	return in
}

// caller asks the registry as anybody could who has its key.
type caller struct {
	t    *testing.T
	r    *registrySide
	http *http.Client
	key  *ecdsa.PrivateKey
}

func newCaller(t *testing.T, r *registrySide) *caller {
	t.Helper()
	env := r.env()
	ca, err := os.ReadFile(env["REGMEND_REGISTRY_CA_FILE"])
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(ca)
	text, err := os.ReadFile(env["REGMEND_REGISTRY_TOKEN_KEY_FILE"])
	if err != nil {
		t.Fatal(err)
	}
	block, _ := pem.Decode(text)
	key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}, ForceAttemptHTTP2: true}
	t.Cleanup(transport.CloseIdleConnections)
	return &caller{t: t, r: r, key: key.(*ecdsa.PrivateKey), http: &http.Client{
		Transport: transport, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

// token is one for the listing of the path, as GitLab signs it.
func (c *caller) token(path string) string {
	der, err := x509.MarshalPKIXPublicKey(c.key.Public())
	if err != nil {
		c.t.Error(err)
	}
	sum := sha256.Sum256(der)
	right := func(name string) map[string]any {
		return map[string]any{"type": "repository", "name": name, "actions": []string{"pull"}}
	}
	now := time.Now()
	token := jwt.NewWithClaims(jwt.SigningMethodES256, jwt.MapClaims{
		"iss": "gitlab-issuer", "aud": "container_registry", "jti": rand.Text(), "nbf": now.Unix(), "exp": now.Add(5 * time.Minute).Unix(),
		"access": []any{right(path), right(path + "/*")},
	})
	token.Header["kid"] = strings.Join(regexp.MustCompile(`.{4}`).FindAllString(base32.StdEncoding.EncodeToString(sum[:30]), -1), ":")
	signed, err := token.SignedString(c.key)
	if err != nil {
		c.t.Error(err)
	}
	return signed
}

// said is what came of a request.
type said struct {
	status int // 0: nothing came
	header http.Header
	proto  string
	body   string
	took   time.Duration
	err    error
}

func (s said) String() string {
	return fmt.Sprintf("%d %v <%.300s> after %s: %v", s.status, s.header, s.body, s.took, s.err)
}

// listURL is where the first page of a listing is.
func listURL(path string) string {
	return "/gitlab/v1/repository-paths/" + path + "/repositories/list/?n=100"
}

// ask asks for the first page of a listing.
func (c *caller) ask(ctx context.Context, path string) said {
	return c.get(ctx, listURL(path), c.token(path))
}

func (c *caller) get(ctx context.Context, target, token string) (s said) {
	began := time.Now()
	defer func() { s.took = time.Since(began) }()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, c.r.url()+target, nil)
	if err != nil {
		return said{err: err}
	}
	req.Header.Set("Authorization", "Bearer "+token)
	resp, err := c.http.Do(req)
	if err != nil {
		return said{err: err}
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	return said{status: resp.StatusCode, header: resp.Header, proto: resp.Proto, body: string(body), err: err}
}

var nextPage = regexp.MustCompile(`<([^>]*)>; rel="next"`)

// rest reads the page at the target and those that follow.
func (c *caller) rest(target, path string) (paths []string) {
	c.t.Helper()
	for range 20 {
		s := c.get(c.t.Context(), target, c.token(path))
		var entries []struct{ Path string }
		if err := json.Unmarshal([]byte(s.body), &entries); err != nil || s.status != http.StatusOK {
			c.t.Fatalf("%s: %s", target, s)
		}
		for _, e := range entries {
			paths = append(paths, e.Path)
		}
		next := nextPage.FindStringSubmatch(s.header.Get("Link"))
		if next == nil {
			return paths
		}
		target = next[1]
	}
	c.t.Fatal("the listing does not end")
	return nil
}

// matches tells whether the expression is found in the text.
func matches(expression, text string) bool {
	return regexp.MustCompile(`(?s)` + expression).MatchString(text)
}

// whole makes sure that the registry is healthy, and lists everything.
func (c *caller) whole(path string) {
	c.t.Helper()
	got := c.rest(listURL(path), path)
	slices.Sort(got)
	if want := c.r.below(path); !slices.Equal(got, want) {
		c.t.Errorf("listing of %s is %d entries %.200v, want %d", path, len(got), got, len(want))
	}
}

func (r *registrySide) below(path string) []string {
	return slices.DeleteFunc(slices.Clone(r.tagged()), func(other string) bool {
		return other != path && !strings.HasPrefix(other, path+"/")
	})
}

func TestRegistryRemembersEveryRequest(t *testing.T) {
	t.Parallel()
	in := registryInstallation(t, map[string]int{"grp/App1": 3})
	c, r := newCaller(t, in.registry), in.registry
	release := make(chan struct{})
	end := r.suffer(registrytest.Hold(release))
	hanging, hung := context.WithCancel(t.Context())
	done := make(chan said)
	go func() { done <- c.ask(hanging, "grp/app1") }()
	awaitTrue(t, "the request has come", func() bool { return r.inFlight() == 1 })
	end()
	c.whole("grp/app1")
	requests := r.requests()
	if len(requests) != 2 || r.count() != 2 || requests[0].inFlight != 1 || requests[1].inFlight != 2 || !requests[0].end.IsZero() {
		t.Errorf("requests are %+v", requests)
	}
	hung()
	<-done
	awaitTrue(t, "nothing is in flight", func() bool { return r.inFlight() == 0 })
	first, second := r.requests()[0], r.requests()[1]
	if first.status != 0 || second.status != http.StatusOK || first.kind != registrytest.List || second.path != "grp/app1" ||
		first.end.Before(second.end) || second.end.Sub(second.start) < registryLatency {
		t.Errorf("requests are %+v, %+v", first, second)
	}
}

func awaitTrue(t *testing.T, what string, condition func() bool) {
	t.Helper()
	err := servers.Await(t.Context(), what, 20*time.Second, func(context.Context) (bool, error) { return condition(), nil })
	if err != nil {
		t.Fatal(err)
	}
}

func TestRequestLogIsSmall(t *testing.T) {
	heap := func() int64 {
		var stats runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&stats)
		return int64(stats.HeapAlloc)
	}
	l, before := newRequestLog(), heap()
	for i := range 600_000 {
		l.begin(registrytest.List, fmt.Sprint("grp/app", i%20_000))(http.StatusOK)
	}
	if used := (heap() - before) >> 20; used > 30 {
		t.Errorf("600,000 requests take %d MB", used)
	}
	last := l.since(599_999)
	if len(last) != 1 || last[0].path != "grp/app19999" || last[0].status != http.StatusOK || last[0].inFlight != 1 {
		t.Errorf("the last one is %+v", last)
	}
}

func TestRegistryKeyIsASecret(t *testing.T) {
	t.Parallel()
	in := registryInstallation(t, map[string]int{"grp/app1": 1})
	text, err := os.ReadFile(in.registry.env()["REGMEND_REGISTRY_TOKEN_KEY_FILE"])
	if err != nil {
		t.Fatal(err)
	}
	found := 0
	for _, secret := range in.secrets {
		if len(secret) > 20 && strings.Contains(string(text), "\n"+secret+"\n") {
			found++
		}
	}
	if lines := strings.Count(string(text), "\n"); found != lines-2 {
		t.Errorf("%d of %d lines are secrets", found, lines-2)
	}
	if u, err := url.Parse(in.registry.env()["REGMEND_REGISTRY_URL"]); err != nil || u.Scheme != "https" {
		t.Errorf("URL is %v (%v)", u, err)
	}
}
