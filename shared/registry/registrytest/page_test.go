package registrytest_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base32"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"regmend/shared/registry/registrytest"

	"github.com/golang-jwt/jwt/v5"
)

// What faults of a page look like on the wire, where two pages of the listing of
// g/p would be right.
func TestFaultsOfAPage(t *testing.T) {
	tests := map[string]struct {
		fault  registrytest.Fault
		want   string // the beginning of the body
		length int    // of the body, 0: any
		link   string
		cut    bool
	}{
		"cut":              {registrytest.CutShare(0.25), `[{"name":`, 0, "last=g%2Fp%2Fb", true},
		"cut at once":      {registrytest.CutShare(0), "", 0, "last=g%2Fp%2Fb", true},
		"cut at the end":   {registrytest.CutShare(1), `[{"name":`, 0, "last=g%2Fp%2Fb", true},
		"truncated":        {registrytest.Truncate(0.25), `[{"name":`, 0, "last=g%2Fp%2Fb", false},
		"truncated to nil": {registrytest.Truncate(0), "", 0, "last=g%2Fp%2Fb", false},
		"another link": {
			registrytest.NextLink(func(req *http.Request, last string) string { return "<" + req.URL.Path + "?last=" + last + ">" }),
			`[{"name":"a"`, 0, "</gitlab/v1/repository-paths/g/p/repositories/list/?last=g/p/b>", false,
		},
		"a parameter more": {registrytest.LinkParameter("of", "x"), `[{"name":"a"`, 0, "&of=x>; rel=", false},
		"intruders":        {registrytest.Intruders("x/first", "x/last"), `[{"name":"first","path":"x/first","created_at":""},{"name":"a"`, 0, "last=g%2Fp%2Fb", false},
		"a name":           {registrytest.Entry("g/p/\\u0000\xff"), `[{"path":"g/p/\u0000` + "\xff" + `"}]`, 0, "", false},
		"a long name":      {registrytest.Entry("g/p/" + strings.Repeat("x", 10<<20)), `[{"path":"g/p/xxx`, 10<<20 + len(`[{"path":"g/p/"}]`), "", false},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			server := registrytest.NewServer(t, registrytest.Options{})
			for _, path := range []string{"g/p/a", "g/p/b", "g/p/c"} {
				server.Push(path, "v1")
			}
			server.Fail(registrytest.Where{Repository: "g/p"}, test.fault)
			got := get(t, server, "")
			if (got.err != nil) != test.cut {
				t.Errorf("reading the body: %v", got.err)
			}
			if !strings.HasPrefix(got.body, test.want) || test.length > 0 && len(got.body) != test.length {
				t.Errorf("body of %d bytes is %.200s, want it to begin with %s", len(got.body), got.body, test.want)
			}
			if test.want == "" && got.body != "" {
				t.Errorf("body is %.200s, want none", got.body)
			}
			if link := got.header.Get("Link"); !strings.Contains(link, test.link) {
				t.Errorf("Link is %s, want %s in it", link, test.link)
			}
		})
	}
}

// answer is what came of a request; err says that the body did not end well.
type answer struct {
	status int
	header http.Header
	body   string
	err    error
}

// get asks for the first page of the listing of g/p.
func get(t *testing.T, server *registrytest.Server, token string) answer {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet,
		server.URL+"/gitlab/v1/repository-paths/g/p/repositories/list/?n=2", nil)
	if err != nil {
		t.Fatal(err)
	}
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	return answer{resp.StatusCode, resp.Header, string(body), err}
}

// signed is a token as GitLab's for the listing of g/p, valid from now for five
// minutes.
func signed(t *testing.T, key *ecdsa.PrivateKey) string {
	t.Helper()
	der, err := x509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(der)
	id := strings.Join(regexp.MustCompile(`.{4}`).FindAllString(base32.StdEncoding.EncodeToString(sum[:30]), -1), ":")
	right := func(name string) map[string]any {
		return map[string]any{"type": "repository", "name": name, "actions": []string{"pull"}}
	}
	now := time.Now()
	token := jwt.NewWithClaims(jwt.SigningMethodES256, jwt.MapClaims{
		"iss": "gitlab-issuer", "aud": "container_registry", "jti": rand.Text(), "nbf": now.Unix(), "exp": now.Add(5 * time.Minute).Unix(),
		"access": []any{right("g/p"), right("g/p/*")},
	})
	token.Header["kid"] = id
	text, err := token.SignedString(key)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// tokenServer is one that accepts tokens of the key.
func tokenServer(t *testing.T, opts registrytest.Options) (*registrytest.Server, *ecdsa.PrivateKey) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	opts.Auth = &registrytest.Auth{Keys: []crypto.PublicKey{key.Public()}}
	server := registrytest.NewServer(t, opts)
	server.Push("g/p/a", "v1")
	return server, key
}

// Leeway is a minute, both ways.
func TestClockJudgesTokens(t *testing.T) {
	server, key := tokenServer(t, registrytest.Options{})
	for ahead, want := range map[time.Duration]int{
		0:                 http.StatusOK,
		50 * time.Second:  http.StatusOK,
		-50 * time.Second: http.StatusOK,
		-90 * time.Second: http.StatusUnauthorized,
		90 * time.Second:  http.StatusOK,
		100 * time.Minute: http.StatusUnauthorized,
	} {
		t.Run(fmt.Sprint(ahead), func(t *testing.T) {
			server.SetClock(ahead)
			got := get(t, server, signed(t, key))
			if got.status != want {
				t.Errorf("answer %d %s, want %d", got.status, got.body, want)
			}
			said, err := http.ParseTime(got.header.Get("Date"))
			if off := time.Since(said) + ahead; err != nil || off < -2*time.Second || off > 10*time.Second {
				t.Errorf("Date is %s (%v), want it to be %s ahead", said, err, ahead)
			}
		})
	}
}

func TestRevokedTokensAreThoseSeen(t *testing.T) {
	server, key := tokenServer(t, registrytest.Options{Record: 1})
	var tokens []string
	for range 3 {
		tokens = append(tokens, signed(t, key))
		if got := get(t, server, tokens[len(tokens)-1]); got.status != http.StatusOK {
			t.Fatalf("answer %d %s", got.status, got.body)
		}
	}
	unseen := signed(t, key)
	server.Forget()
	server.Revoke()
	for i, token := range append(tokens, unseen) {
		want := map[bool]int{true: http.StatusOK, false: http.StatusUnauthorized}[token == unseen]
		if got := get(t, server, token); got.status != want {
			t.Errorf("token %d: answer %d, want %d", i, got.status, want)
		}
	}
}

func TestRefusedTokenIsChallenged(t *testing.T) {
	server, key := tokenServer(t, registrytest.Options{})
	server.Fail(registrytest.Where{}, registrytest.RefuseToken("https://gitlab.example.com/jwt/auth"))
	got := get(t, server, signed(t, key))
	const want = `Bearer realm="https://gitlab.example.com/jwt/auth",service="container_registry",error="invalid_token"`
	if challenge := got.header.Get("Www-Authenticate"); got.status != http.StatusUnauthorized || challenge != want {
		t.Errorf("answer %d, challenge %s, want 401 and %s", got.status, challenge, want)
	}
}
