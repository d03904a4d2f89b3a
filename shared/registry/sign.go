package registry

import (
	"crypto/rand"
	"encoding/json"
	"strings"
	"sync"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

const (
	tokenLife = 5 * time.Minute
	// tokenMargin is how long before its end a token is no longer used: what
	// the clocks of two hosts may differ by.
	tokenMargin = time.Minute
	// maxAccess bounds the rights in one token, in bytes of their JSON: in
	// base64, with header, claims and the signature of a 4096-bit key, the
	// Authorization header stays below 6 KB, where proxies allow 8 KB for all.
	maxAccess = 3600
	// maxTokens bounds the tokens kept. Forgetting one costs a signature.
	maxTokens = 4096
)

// signer makes GitLab's own tokens and keeps them until shortly before they
// expire. It is safe for concurrent use.
type signer struct {
	issuer  string
	service string

	mu     sync.Mutex
	file   keyFile
	key    key
	tokens map[string]token // by the scopes they were made for
}

type token struct {
	text  string
	until time.Time
}

func newSigner(path, issuer, service string) (*signer, error) {
	s := &signer{issuer: issuer, service: service, file: keyFile{path: path}, tokens: map[string]token{}}
	return s, s.refreshKey()
}

// refreshKey reads the key file if it has changed. Tokens signed with the key
// before are dropped.
func (s *signer) refreshKey() error {
	changed, err := s.file.changed()
	if err != nil || !changed {
		return err
	}
	k, err := s.file.read()
	if err != nil {
		s.file.size = -1 // read it again next time
		return err
	}
	s.key = k
	clear(s.tokens)
	return nil
}

func scopeKey(rights []access) string { return strings.Join(scopesFor(rights), " ") }

// token is a token with these rights, perhaps with more.
func (s *signer) token(rights []access) (string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if kept, ok := s.tokens[scopeKey(rights)]; ok && time.Now().Before(kept.until) {
		return kept.text, nil
	}
	return s.sign([][]access{rights})
}

// prepare sees to it that there is a token for the first of the groups of
// rights; a new one holds the rights of as many more groups as fit.
func (s *signer) prepare(groups [][]access) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if kept, ok := s.tokens[scopeKey(groups[0])]; ok && time.Now().Before(kept.until) {
		return nil
	}
	n, size := 0, 0
	for _, group := range groups {
		text, err := json.Marshal(group)
		if err != nil {
			return err
		}
		if size += len(text); n > 0 && size > maxAccess {
			break
		}
		n++
	}
	_, err := s.sign(groups[:n])
	return err
}

// sign makes one token with the rights of all groups and keeps it for each.
func (s *signer) sign(groups [][]access) (string, error) {
	if err := s.refreshKey(); err != nil {
		return "", err
	}
	var rights []access
	for _, group := range groups {
		rights = append(rights, group...)
	}
	now := time.Now()
	signed, err := s.signed(rights, now)
	if err != nil {
		return "", err
	}
	if len(s.tokens)+len(groups) > maxTokens {
		clear(s.tokens)
	}
	for _, group := range groups {
		s.tokens[scopeKey(group)] = token{text: signed, until: now.Add(tokenLife - tokenMargin)}
	}
	return signed, nil
}

func (s *signer) signed(rights []access, now time.Time) (string, error) {
	if rights == nil {
		rights = []access{}
	}
	t := jwt.NewWithClaims(s.key.method, jwt.MapClaims{
		"iss":    s.issuer,
		"aud":    s.service,
		"jti":    rand.Text(),
		"iat":    now.Unix(),
		"nbf":    now.Add(-5 * time.Second).Unix(),
		"exp":    now.Add(tokenLife).Unix(),
		"access": rights,
	})
	t.Header["kid"] = s.key.id
	return t.SignedString(s.key.private)
}

// forget drops a token that the registry refused.
func (s *signer) forget(refused string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for scope, kept := range s.tokens {
		if kept.text == refused {
			delete(s.tokens, scope)
		}
	}
}
