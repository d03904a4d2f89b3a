package registrytest

import (
	"crypto"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base32"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// Auth says how the registry knows who may do what.
type Auth struct {
	// Keys are the public keys of accepted token signers.
	Keys []crypto.PublicKey
	// Issuer and Service are what tokens must say: gitlab-issuer and
	// container_registry by default.
	Issuer, Service string
	// Username and Password open the registry by Basic, or, with TokenServer,
	// the token server at /token, to which challenges then lead.
	Username, Password string
	TokenServer        bool
	// Realm is named in challenges instead of this registry's own /token.
	Realm string
	// NoCatalog: nobody may have the catalog.
	NoCatalog bool
}

// tokenStore knows the tokens that the token server gave, and those revoked.
type tokenStore struct {
	count atomic.Int64
	mu    sync.Mutex
	given map[string][]string // token: scopes
	// seen holds a hash of every token that was sent, and whether it is revoked.
	seen map[[sha256.Size]byte]bool
}

// Revoke refuses from now on every token seen so far.
func (r *Registry) Revoke() {
	r.tokens.mu.Lock()
	defer r.tokens.mu.Unlock()
	for token := range r.tokens.seen {
		r.tokens.seen[token] = true
	}
}

// isRevoked tells it of a token that was sent, and remembers that it was.
func (s *tokenStore) isRevoked(sent string) bool {
	token := sha256.Sum256([]byte(sent))
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.seen == nil {
		s.seen = map[[sha256.Size]byte]bool{}
	}
	revoked := s.seen[token]
	s.seen[token] = revoked
	return revoked
}

// SetClock sets the registry's clock that much ahead of the real one, or behind
// it: token times are judged by it, and answers tell it.
func (r *Registry) SetClock(ahead time.Duration) { r.ahead.Store(int64(ahead)) }

func (r *Registry) now() time.Time { return time.Now().Add(time.Duration(r.ahead.Load())) }

// authorized tells whether the request may be answered, and answers it with a
// challenge if not.
func (r *Registry) authorized(w http.ResponseWriter, req *http.Request, asked route) bool {
	auth := r.opts.Auth
	if auth == nil {
		return true
	}
	if auth.Username != "" && !auth.TokenServer {
		return r.authorizedBasic(w, req)
	}
	sent, hasToken := strings.CutPrefix(req.Header.Get("Authorization"), "Bearer ")
	if !hasToken {
		r.challenge(w, req, asked, "")
		return false
	}
	revoked := r.tokens.isRevoked(sent)
	scopes, ok := r.scopesOf(sent)
	if !ok || revoked {
		r.challenge(w, req, asked, "invalid_token")
		return false
	}
	for _, wanted := range r.wanted(asked) {
		if !slices.Contains(scopes, wanted) || auth.NoCatalog && asked.kind == Catalog {
			r.challenge(w, req, asked, "insufficient_scope")
			return false
		}
	}
	return true
}

func (r *Registry) authorizedBasic(w http.ResponseWriter, req *http.Request) bool {
	username, password, _ := req.BasicAuth()
	if username == r.opts.Auth.Username && password == r.opts.Auth.Password {
		return true
	}
	w.Header().Set("Www-Authenticate", `Basic realm="basic-realm"`)
	writeError(w, http.StatusUnauthorized, "UNAUTHORIZED", nil)
	return false
}

// wanted are the scopes a request needs; the list wants both literal entries.
func (r *Registry) wanted(asked route) []string {
	scopes := map[Kind][]string{
		List:    {"repository:" + asked.repository + ":pull", "repository:" + asked.repository + "/*:pull"},
		Details: {"repository:" + asked.repository + ":pull", "repository:" + asked.repository + "/*:pull"},
		Tags:    {"repository:" + asked.repository + ":pull"},
		Catalog: {"registry:catalog:*"},
	}[asked.kind]
	// The real one's order is that of a Go map.
	if len(scopes) == 2 && r.tokens.count.Add(1)%2 == 0 {
		slices.Reverse(scopes)
	}
	return scopes
}

func (r *Registry) challenge(w http.ResponseWriter, req *http.Request, asked route, fault string) {
	realm := r.opts.Auth.Realm
	if realm == "" {
		realm = "http://" + req.Host + r.opts.Prefix + "/token"
	}
	value := fmt.Sprintf(`Bearer realm="%s",service="%s"`, realm, r.service())
	if scopes := r.wanted(asked); len(scopes) > 0 {
		value += fmt.Sprintf(`,scope="%s"`, strings.Join(scopes, " "))
	}
	if fault != "" {
		value += fmt.Sprintf(`,error="%s"`, fault)
	}
	w.Header().Set("Www-Authenticate", value)
	writeError(w, http.StatusUnauthorized, "UNAUTHORIZED", nil)
}

func (r *Registry) service() string {
	if r.opts.Auth.Service != "" {
		return r.opts.Auth.Service
	}
	return "container_registry"
}

// answerToken is the token server.
func (r *Registry) answerToken(w http.ResponseWriter, req *http.Request) {
	auth := r.opts.Auth
	if auth == nil || !auth.TokenServer {
		http.NotFound(w, req)
		return
	}
	if username, password, _ := req.BasicAuth(); username != auth.Username || password != auth.Password {
		writeError(w, http.StatusUnauthorized, "UNAUTHORIZED", nil)
		return
	}
	given := rand.Text()
	r.tokens.mu.Lock()
	defer r.tokens.mu.Unlock()
	if r.tokens.given == nil {
		r.tokens.given = map[string][]string{}
	}
	r.tokens.given[given] = req.URL.Query()["scope"]
	writeJSON(w, map[string]any{"token": given, "expires_in": 300})
}

// scopesOf gives the scopes of a token, if it is valid.
func (r *Registry) scopesOf(sent string) ([]string, bool) {
	r.tokens.mu.Lock()
	scopes, ok := r.tokens.given[sent]
	r.tokens.mu.Unlock()
	if ok {
		return scopes, true
	}
	return r.verify(sent)
}

// claims are those of GitLab's own tokens.
type claims struct {
	jwt.RegisteredClaims
	Access []struct {
		Type    string   `json:"type"`
		Name    string   `json:"name"`
		Actions []string `json:"actions"`
	} `json:"access"`
}

func (r *Registry) verify(sent string) ([]string, bool) {
	issuer := r.opts.Auth.Issuer
	if issuer == "" {
		issuer = "gitlab-issuer"
	}
	var said claims
	_, err := jwt.ParseWithClaims(sent, &said, r.keyOf,
		jwt.WithValidMethods([]string{"RS256", "RS384", "RS512", "ES256"}),
		jwt.WithTimeFunc(r.now), jwt.WithLeeway(time.Minute), jwt.WithIssuer(issuer), jwt.WithAudience(r.service()), jwt.WithExpirationRequired())
	if err != nil {
		return nil, false
	}
	var scopes []string
	for _, a := range said.Access {
		for _, action := range a.Actions {
			scopes = append(scopes, a.Type+":"+a.Name+":"+action)
		}
	}
	return scopes, true
}

// keyOf finds the key by kid, without which the registry accepts nothing.
func (r *Registry) keyOf(sent *jwt.Token) (any, error) {
	for _, key := range r.opts.Auth.Keys {
		if id, err := keyID(key); err == nil && sent.Header["kid"] == id {
			return key, nil
		}
	}
	return nil, jwt.ErrTokenUnverifiable
}

var fourCharacters = regexp.MustCompile(`.{4}`)

func keyID(key crypto.PublicKey) (string, error) {
	der, err := x509.MarshalPKIXPublicKey(key)
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256(der)
	text := base32.StdEncoding.EncodeToString(sum[:30])
	return strings.Join(fourCharacters.FindAllString(text, -1), ":"), nil
}
