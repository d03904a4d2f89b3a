package registry_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"regmend/shared/registry"
	"regmend/shared/registry/registrytest"

	"github.com/golang-jwt/jwt/v5"
	"golang.org/x/sync/errgroup"
)

// signingKey is a key pair whose private half is in a file.
type signingKey struct {
	file   string
	public []crypto.PublicKey
}

func (k signingKey) use(cfg *registry.Config) { cfg.TokenKeyFile = k.file }

// replace puts another key into the same file.
func (k signingKey) replace(t testing.TB, by signingKey) {
	t.Helper()
	content, err := os.ReadFile(by.file)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(k.file, content, 0o600); err != nil {
		t.Fatal(err)
	}
	// A file system's clock may be too coarse to show it.
	later := time.Now().Add(time.Hour)
	if err := os.Chtimes(k.file, later, later); err != nil {
		t.Fatal(err)
	}
}

func newKey(t testing.TB, kind string) signingKey {
	t.Helper()
	var (
		private crypto.Signer
		err     error
	)
	if strings.HasPrefix(kind, "RS256") {
		private, err = rsa.GenerateKey(rand.Reader, 2048)
	} else {
		private, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	}
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "key.pem")
	if err := os.WriteFile(file, encodeKey(t, kind, private), 0o600); err != nil {
		t.Fatal(err)
	}
	return signingKey{file: file, public: []crypto.PublicKey{private.Public()}}
}

func encodeKey(t testing.TB, kind string, private crypto.Signer) []byte {
	t.Helper()
	switch kind {
	case "RS256 PKCS1":
		return pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(private.(*rsa.PrivateKey))})
	case "ES256 EC":
		der, err := x509.MarshalECPrivateKey(private.(*ecdsa.PrivateKey))
		if err != nil {
			t.Fatal(err)
		}
		parameters := pem.EncodeToMemory(&pem.Block{Type: "EC PARAMETERS", Bytes: []byte{6, 8}})
		return append(parameters, pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: der})...)
	default:
		der, err := x509.MarshalPKCS8PrivateKey(private)
		if err != nil {
			t.Fatal(err)
		}
		return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})
	}
}

func TestTokensOfEveryKindOfKeyAreAccepted(t *testing.T) {
	for _, kind := range []string{"RS256 PKCS1", "RS256 PKCS8", "ES256 EC", "ES256 PKCS8"} {
		t.Run(kind, func(t *testing.T) {
			key := newKey(t, kind)
			server := registrytest.NewServer(t, registrytest.Options{Auth: &registrytest.Auth{Keys: key.public}})
			for _, path := range []string{"g/p", "g/p9", "g9/p9"} {
				server.Push(path, "v1")
			}
			s := survey(t, newClient(t, server.URL, key.use), "g/p", "g/p9", "g9/p9")
			for _, path := range []string{"g/p", "g/p9", "g9/p9"} {
				if got, _, err := listIn(t, s, path); err != nil || len(got) != 1 {
					t.Errorf("%s: listing = %v, %v", path, got, err)
				}
			}
			for _, req := range server.Requests() {
				if req.Status == 401 {
					t.Errorf("%s %s was refused first", req.Method, req.URI)
				}
			}
		})
	}
}

func TestOneTokenHoldsManyProjects(t *testing.T) {
	key := newKey(t, "RS256 PKCS8")
	server := registrytest.NewServer(t, registrytest.Options{Auth: &registrytest.Auth{Keys: key.public}})
	var paths []string
	for i := range 100 {
		paths = append(paths, fmt.Sprintf("some-group/with-subgroup/project-number-%03d-x", i))
	}
	s := survey(t, newClient(t, server.URL, key.use), paths...)
	for _, path := range paths {
		if _, _, err := listIn(t, s, path); err != nil {
			t.Fatal(err)
		}
	}
	tokens := map[string]bool{}
	for _, req := range server.Requests(registrytest.List) {
		tokens[req.Authorization] = true
		if got := len(req.Authorization); got > 6<<10 {
			t.Errorf("an Authorization header of %d bytes, want 6 KB at most", got)
		}
	}
	if got := len(tokens); got < 2 || got > 10 {
		t.Errorf("%d tokens for 100 projects", got)
	}
}

func TestRefusedTokenIsRenewedOnce(t *testing.T) {
	key := newKey(t, "ES256 PKCS8")
	server := registrytest.NewServer(t, registrytest.Options{Auth: &registrytest.Auth{Keys: key.public}})
	want := pushMany(server.Registry, "g/p", 5)
	client := newClient(t, server.URL, key.use, pageSize(2))
	s := survey(t, client, "g/p")

	if _, _, err := listIn(t, s, "g/p"); err != nil {
		t.Fatal(err)
	}
	server.Revoke()
	server.Forget()
	got, _, err := listIn(t, s, "g/p")
	if err != nil || len(got) != len(want) {
		t.Fatalf("listing after the token was revoked = %v, %v", got, err)
	}
	if got := len(server.Requests()); got != 4 {
		t.Errorf("%d requests, want 3 pages and one refused", got)
	}

	server.Fail(registrytest.Where{Kind: registrytest.List}, registrytest.Status(401, "UNAUTHORIZED"))
	server.Forget()
	_, _, err = listIn(t, s, "g/p")
	answer := failure(t, err)
	if !answer.Outage() || !strings.Contains(answer.Reason, "even after a new token") || !strings.Contains(answer.Reason, "repository:g/p:pull") {
		t.Errorf("error = %v", err)
	}
	requests := server.Requests()
	if len(requests) != 2 || requests[0].Authorization == requests[1].Authorization {
		t.Errorf("%d requests, want 2 with different tokens", len(requests))
	}
}

// TestManyRenewARefusedTokenAtOnce has a token refused under all who use it.
func TestManyRenewARefusedTokenAtOnce(t *testing.T) {
	key := newKey(t, "ES256 PKCS8")
	server := registrytest.NewServer(t, registrytest.Options{Auth: &registrytest.Auth{Keys: key.public}})
	server.Push("g/p", "v1")
	client := newClient(t, server.URL, key.use)
	const many = 8
	for range 10 {
		if tagged, err := client.Tagged(t.Context(), "g/p"); err != nil || !tagged {
			t.Fatalf("Tagged() = %v, %v", tagged, err)
		}
		server.Revoke()
		server.Forget()
		var group errgroup.Group
		for range many {
			group.Go(func() error {
				_, err := client.Tagged(t.Context(), "g/p")
				return err
			})
		}
		if err := group.Wait(); err != nil || server.Count() > 2*many {
			t.Errorf("%v after %d requests, want at most two each", err, server.Count())
		}
	}
}

func TestWrongIssuerIsAnOutageThatNamesIt(t *testing.T) {
	key := newKey(t, "ES256 PKCS8")
	server := registrytest.NewServer(t, registrytest.Options{Auth: &registrytest.Auth{Keys: key.public, Issuer: "omnibus-gitlab-issuer"}})
	_, err := newClient(t, server.URL, key.use).Probe(t.Context())
	if answer := failure(t, err); !answer.Outage() || !strings.Contains(answer.Reason, "issuer") {
		t.Errorf("error = %v, want an outage that names the issuer", err)
	}
	client := newClient(t, server.URL, key.use, func(cfg *registry.Config) { cfg.TokenIssuer = "omnibus-gitlab-issuer" })
	if _, err := client.Probe(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestKeyFileIsReadAgainWhenItChanges(t *testing.T) {
	first, second := newKey(t, "ES256 PKCS8"), newKey(t, "RS256 PKCS1")
	server := registrytest.NewServer(t, registrytest.Options{Auth: &registrytest.Auth{Keys: first.public}})
	server.Push("g/p", "v1")
	later := registrytest.NewServer(t, registrytest.Options{Auth: &registrytest.Auth{Keys: second.public}})
	later.Push("g/p", "v1")
	client := newClient(t, server.URL, first.use)
	if _, _, err := list(t, client, "g/p"); err != nil {
		t.Fatal(err)
	}
	server.Hook(later.Serve)
	if _, _, err := list(t, client, "g/p"); !failure(t, err).Outage() {
		t.Fatalf("error = %v, want a refusal", err)
	}
	first.replace(t, second)
	if _, _, err := list(t, client, "g/p"); err != nil {
		t.Errorf("after the key file was replaced: %v", err)
	}
	if err := os.WriteFile(first.file, []byte("-----BEGIN PRIVATE KEY-----\nc2VjcmV0\n-----END PRIVATE KEY-----\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	later.Revoke()
	_, _, err := list(t, client, "g/p")
	if answer := failure(t, err); !answer.Outage() || strings.Contains(err.Error(), "c2VjcmV0") || !strings.Contains(answer.Reason, "key file") {
		t.Errorf("error = %v, want an outage that names the key file", err)
	}
}

func TestTokenIsReusedUntilShortlyBeforeItExpires(t *testing.T) {
	key := newKey(t, "ES256 PKCS8")
	synctest.Test(t, func(t *testing.T) {
		signer, err := registry.NewSigner(key.file, "gitlab-issuer", "container_registry")
		if err != nil {
			t.Fatal(err)
		}
		token := func() string {
			t.Helper()
			text, err := signer.ListToken("g/p")
			if err != nil {
				t.Fatal(err)
			}
			return text
		}
		first := token()
		time.Sleep(registry.TokenLife - registry.TokenMargin - time.Second)
		if token() != first {
			t.Error("a token was not reused")
		}
		time.Sleep(2 * time.Second)
		second := token()
		if second == first {
			t.Error("a token was used until it expired")
		}
		checkClaims(t, second)
	})
}

func checkClaims(t *testing.T, text string) {
	t.Helper()
	var claims jwt.MapClaims
	token, _, err := jwt.NewParser().ParseUnverified(text, &claims)
	if err != nil {
		t.Fatal(err)
	}
	kid, _ := token.Header["kid"].(string)
	if token.Header["typ"] != "JWT" || len(kid) != 59 || strings.Count(kid, ":") != 11 {
		t.Errorf("header = %v", token.Header)
	}
	now := float64(time.Now().Unix())
	want := fmt.Sprint(now, now-5, now+300)
	if got := fmt.Sprint(claims["iat"], claims["nbf"], claims["exp"]); got != want {
		t.Errorf("iat, nbf, exp = %s, want %s", got, want)
	}
	if claims["iss"] != "gitlab-issuer" || claims["aud"] != "container_registry" || claims["jti"] == "" {
		t.Errorf("claims = %v", claims)
	}
	if got, want := fmt.Sprint(claims["access"]), "[map[actions:[pull] name:g/p type:repository] map[actions:[pull] name:g/p/* type:repository]]"; got != want {
		t.Errorf("access = %s, want %s", got, want)
	}
}
