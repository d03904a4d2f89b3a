package registry_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode"

	"regmend/shared/registry"
	"regmend/shared/registry/registrytest"

	"github.com/golang-jwt/jwt/v5"
	"github.com/google/go-cmp/cmp"
)

// What a registry gets, and what somebody else may do who gets it from there.
func TestTokensGrantPullingForMinutesAndNothingElse(t *testing.T) {
	for _, mode := range []registrytest.Mode{registrytest.GitLab, registrytest.Distribution} {
		key := newKey(t, "ES256 PKCS8")
		server := registrytest.NewServer(t, registrytest.Options{Mode: mode, Auth: &registrytest.Auth{Keys: key.public}})
		server.Push("g/app9", "v1") // asked for in every way there is
		server.Push("g/appx", "v1")
		client := newClient(t, server.URL, key.use)
		for _, path := range []string{"g/app9", "g/appx", "zz"} {
			if _, _, err := list(t, client, path); err != nil {
				t.Fatal(err)
			}
			if _, err := client.Tagged(t.Context(), path); err != nil {
				t.Fatal(err)
			}
		}
		if n := checkTokens(t, server.Requests()); n == 0 {
			t.Error("no token was sent")
		}
	}
}

// checkTokens returns how many rights the tokens of the requests grant.
func checkTokens(t *testing.T, requests []registrytest.Request) (rights int) {
	t.Helper()
	for _, req := range requests {
		if req.Method != http.MethodGet {
			t.Errorf("%s %s: only reading was expected", req.Method, req.URI)
		}
		_, text, _ := strings.Cut(req.Authorization, " ")
		if text == "" {
			continue
		}
		var c struct {
			jwt.RegisteredClaims

			Access []struct {
				Type, Name string
				Actions    []string
			} `json:"access"`
		}
		if _, _, err := jwt.NewParser().ParseUnverified(text, &c); err != nil {
			t.Fatal(err)
		}
		if life := c.ExpiresAt.Sub(c.IssuedAt.Time); life > 5*time.Minute {
			t.Errorf("a token lives for %s", life)
		}
		for _, a := range c.Access {
			rights++
			catalog := a.Type == "registry" && a.Name == "catalog"
			if !catalog && (a.Type != "repository" || !slices.Equal(a.Actions, []string{"pull"})) {
				t.Errorf("a token grants %+v", a)
			}
		}
	}
	return rights
}

func TestWithAKeyNoChallengeIsAnswered(t *testing.T) {
	thief := newSnoop(t)
	key := newKey(t, "ES256 PKCS8")
	server := registrytest.NewServer(t, registrytest.Options{})
	server.Fail(registrytest.Where{}, registrytest.Answer(401,
		map[string]string{"Www-Authenticate": fmt.Sprintf(`Bearer realm="%s/token",scope="repository:x:*"`, thief.URL)}, ""))
	_, err := newClient(t, server.URL, key.use).Probe(t.Context())
	if !failure(t, err).Outage() || len(thief.requests) > 0 {
		t.Errorf("error = %v, and %d requests to another host", err, len(thief.requests))
	}
	checkTokens(t, server.Requests())
}

func TestNamesThatSteerATerminalAreNoListing(t *testing.T) {
	for fact, name := range map[string]string{
		"an escape sequence":    "\x1b]0;x\x07",
		"a C1 control":          "\u009b31m",
		"a line break":          "a\nregmend: all is well",
		"a carriage return":     "a\rb",
		"a tab":                 "\t=1",
		"a backspace":           "a\b",
		"a delete":              "a\x7f",
		"a change of direction": "a\u202eb",
		"an invisible blank":    "a\u200bb",
		"a line separator":      "a\u2028b",
		"a private character":   "\ue000",
	} {
		t.Run(fact, func(t *testing.T) {
			entry, err := json.Marshal("g/appx/" + name)
			if err != nil {
				t.Fatal(err)
			}
			for body, decode := range map[string]func(string) ([]string, error){
				`[{"path":` + string(entry) + `}]`:         registry.DecodeListing,
				`{"repositories":[` + string(entry) + `]}`: registry.DecodeCatalog,
			} {
				got, err := decode(body)
				if err == nil || got != nil {
					t.Errorf("%s: %q, %v, want no listing", body, got, err)
				}
				checkHarmless(t, err)
			}
		})
	}
}

// checkHarmless looks for what could steer a terminal or begin a line.
func checkHarmless(t *testing.T, err error) {
	t.Helper()
	if err != nil && strings.ContainsFunc(err.Error(), func(r rune) bool { return !unicode.IsPrint(r) }) {
		t.Errorf("%q is not one line of text", err)
	}
}

func TestErrorsOfAHostileRegistryAreOneLineOfText(t *testing.T) {
	const evil = "\x1b[31m\x9b\r\u202e"
	for fact, answer := range map[string]string{
		"status":       "HTTP/1.1 500 Bad" + evil + "\r\n\r\n",
		"no HTTP":      evil + "\r\n\r\n",
		"location":     "HTTP/1.1 302 Found\r\nLocation: http://x" + evil + ".example/\r\nContent-Length: 0\r\n\r\n",
		"content type": "HTTP/1.1 200 OK\r\nContent-Type: text/" + evil + "\r\nContent-Length: 1\r\n\r\n<",
		"coding":       "HTTP/1.1 200 OK\r\nContent-Encoding: " + evil + "\r\nContent-Length: 1\r\n\r\n<",
		"challenge":    "HTTP/1.1 401 Unauthorized\r\nWww-Authenticate: Bearer realm=\"https://x" + evil + "/\"\r\nContent-Length: 0\r\n\r\n",
		"scheme":       "HTTP/1.1 401 Unauthorized\r\nWww-Authenticate: Bearer realm=\"" + evil + "://x/\"\r\nContent-Length: 0\r\n\r\n",
		"code":         "HTTP/1.1 500 Oh\r\nContent-Length: 40\r\n\r\n" + `{"errors":[{"code":"A\u001b[31m\n\u202e"}]}`[:40],
		"link":         "HTTP/1.1 200 OK\r\nLink: <" + evil + ">; rel=next\r\nContent-Length: 2\r\n\r\n[]",
		"header":       "HTTP/1.1 200 OK\r\n" + evil + ": x\r\n\r\n",
	} {
		t.Run(fact, func(t *testing.T) {
			server := registrytest.NewServer(t, registrytest.Options{})
			client := newClient(t, server.URL, withPassword)
			s := survey(t, client, "g/appx")
			server.Hook(func(w http.ResponseWriter, _ *http.Request, _ int) bool {
				conn, _, err := http.NewResponseController(w).Hijack()
				if err != nil {
					t.Error(err)
					return false
				}
				_, _ = io.WriteString(conn, answer) // the client may have gone
				return conn.Close() == nil
			})
			_, _, err := listIn(t, s, "g/appx")
			checkHarmless(t, failure(t, err))
		})
	}
}

func TestATokenServersAnswerIsReadNoFurtherThanATokenIsLong(t *testing.T) {
	auth := registrytest.Auth{Username: username, Password: password, TokenServer: true}
	server := registrytest.NewServer(t, registrytest.Options{Mode: registrytest.Distribution, Auth: &auth})
	const all = 256 << 20
	sent := make(chan int, 1)
	server.Fail(registrytest.Where{Kind: registrytest.Token}, func(http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			n := 0
			for part := []byte(strings.Repeat(" ", 1<<20)); n < all; n += len(part) {
				if _, err := w.Write(part); err != nil {
					break
				}
			}
			sent <- n
		})
	})
	_, err := newClient(t, server.URL, withPassword).Probe(t.Context())
	if !failure(t, err).Outage() {
		t.Errorf("error = %v", err)
	}
	if n := <-sent; n > all/4 {
		t.Errorf("%d bytes were read", n)
	}
}

// A group's listing, and a catalog, are kept for all projects of a batch.
func TestAnEndlessListingForManyIsAnError(t *testing.T) {
	server := registrytest.NewServer(t, registrytest.Options{Mode: registrytest.Distribution})
	client := newClient(t, server.URL)
	s := survey(t, client, "g/appx")
	pages := 0
	server.Fail(registrytest.Where{Kind: registrytest.Catalog}, func(http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			pages++
			w.Header().Set("Link", fmt.Sprintf(`</v2/_catalog?last=%d>; rel="next"`, pages))
			names := make([]string, 5000)
			for i := range names {
				names[i] = fmt.Sprintf(`"g/appx/%d-%d-%s"`, pages, i, strings.Repeat("x", 1000))
			}
			_, _ = fmt.Fprintf(w, `{"repositories":[%s]}`, strings.Join(names, ",")) // the client has gone
		})
	})
	got, _, err := listIn(t, s, "g/appx")
	if diff := cmp.Diff([]string(nil), got); diff != "" || failure(t, err).Outage() || !strings.Contains(err.Error(), "than can be held") {
		t.Errorf("%d names, error = %v", len(got), err)
	}
	if pages > 20 {
		t.Errorf("%d pages of 5 MB were read", pages)
	}
}
