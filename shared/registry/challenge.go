package registry

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"
)

// challenge is what a registry answers to a request without rights.
type challenge struct {
	scheme string // basic or bearer
	params map[string]string
}

// findChallenge is the first challenge that can be answered; Bearer goes before
// Basic, for a token is worth less than a password.
func findChallenge(header http.Header) (found challenge, ok bool) {
	for _, value := range header.Values("Www-Authenticate") {
		for _, c := range parseChallenges(value) {
			if c.scheme == "bearer" {
				return c, true
			}
			if c.scheme == "basic" && !ok {
				found, ok = c, true
			}
		}
	}
	return found, ok
}

// parseChallenges reads a WWW-Authenticate header (RFC 9110, 11.6.1) as far as
// it is well-formed. A name with no = behind it begins the next challenge.
func parseChallenges(header string) []challenge {
	var found []challenge
	s := scanner{rest: header}
	for !s.end() {
		if s.take(',') {
			continue
		}
		before := s.rest
		word := s.token()
		if word == "" {
			return found
		}
		if !s.take('=') {
			found = append(found, challenge{scheme: strings.ToLower(word), params: map[string]string{}})
			continue
		}
		s.rest = before
		name, value, err := s.param()
		if err != nil || len(found) == 0 {
			return found
		}
		found[len(found)-1].params[name] = value
	}
	return found
}

// challengeTransport answers challenges with user name and password, or, where
// there are none, as nobody: many token servers give tokens to everyone.
//
// The password goes to two places at most: as Basic to the registry itself, and
// to the token server its challenge names, if that is allowed (see realm).
type challengeTransport struct {
	next  http.RoundTripper
	base  *url.URL
	creds *authn.Basic // nil: nobody

	mu     sync.Mutex
	basic  bool             // the registry wants Basic
	realm  *url.URL         // the pinned origin of the token server, nil until known
	tokens map[string]token // by scope
}

func newChallengeTransport(next http.RoundTripper, base *url.URL, cfg Config) *challengeTransport {
	t := &challengeTransport{next: next, base: base, tokens: map[string]token{}}
	if cfg.Username != "" {
		t.creds = &authn.Basic{Username: cfg.Username, Password: cfg.Password}
	}
	if cfg.TokenRealm != "" {
		t.realm, _ = parseBase("token realm", cfg.TokenRealm) // validate has seen to it
	}
	return t
}

func (t *challengeTransport) RoundTrip(req *http.Request) (*http.Response, error) {
	if !sameOrigin(req.URL, t.base) {
		return nil, errForeignHost
	}
	rights := accessOf(strings.TrimPrefix(req.URL.Path, t.base.Path))
	sent := t.known(req, rights)
	resp, err := t.next.RoundTrip(sent)
	if err != nil || resp.StatusCode != http.StatusUnauthorized {
		return resp, err
	}
	asked, ok := findChallenge(resp.Header)
	authorization, err := t.answer(req.Context(), asked, rights)
	if err != nil {
		refused(resp)
		return nil, err
	}
	if !ok || authorization == "" || authorization == sent.Header.Get("Authorization") {
		return resp, nil
	}
	refused(resp)
	return t.next.RoundTrip(withAuthorization(req, authorization))
}

// known is the request with the credentials that were right before, so that it
// need not be challenged again.
func (t *challengeTransport) known(req *http.Request, rights []access) *http.Request {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.basic {
		return withAuthorization(req, t.basicHeader())
	}
	if len(t.tokens) == 0 {
		return req
	}
	if kept, ok := t.tokens[scopeKey(rights)]; ok && time.Now().Before(kept.until) {
		return withAuthorization(req, "Bearer "+kept.text)
	}
	return req
}

func (t *challengeTransport) basicHeader() string {
	return "Basic " + base64.StdEncoding.EncodeToString([]byte(t.creds.Username+":"+t.creds.Password))
}

// answer is the Authorization header for a challenge, "" if there is none to
// give.
func (t *challengeTransport) answer(ctx context.Context, asked challenge, rights []access) (string, error) {
	switch {
	case asked.scheme == "bearer":
		text, err := t.exchange(ctx, asked, rights)
		if err != nil {
			return "", err
		}
		return "Bearer " + text, nil
	case asked.scheme == "basic" && t.creds != nil:
		t.mu.Lock()
		defer t.mu.Unlock()
		t.basic = true
		return t.basicHeader(), nil
	}
	return "", nil
}

// exchange gets a token from the token server and keeps it.
func (t *challengeTransport) exchange(ctx context.Context, asked challenge, rights []access) (string, error) {
	realm, err := t.allowed(asked.params["realm"])
	if err != nil {
		return "", &Error{Reason: err.Error(), outage: true, err: err}
	}
	got, err := t.ask(ctx, realm, asked, scopesFor(rights))
	if err != nil {
		return "", err
	}
	text := got.Token
	if got.AccessToken != "" {
		text = got.AccessToken
	}
	life := time.Duration(got.ExpiresIn) * time.Second
	if life <= 0 {
		life = time.Minute // what the token specification says of an answer without it
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.tokens) >= maxTokens {
		clear(t.tokens)
	}
	t.tokens[scopeKey(rights)] = token{text: text, until: time.Now().Add(life - min(tokenMargin, life/2))}
	return text, nil
}

func (t *challengeTransport) ask(ctx context.Context, realm *url.URL, asked challenge, scopes []string) (*transport.Token, error) {
	var opts []name.Option
	if realm.Scheme == "http" {
		opts = append(opts, name.Insecure)
	}
	// The library trusts a realm on the host it takes for the registry's; which
	// host may be one is decided here, so it is told the realm's own.
	host, err := name.NewRegistry(realm.Host, opts...)
	if err != nil {
		return nil, refusedBy(realm, 0, err)
	}
	who := authn.Anonymous
	if t.creds != nil {
		who = t.creds
	}
	asked.params["realm"] = realm.String()
	door := &pinned{next: t.next, origin: realm}
	got, err := transport.Exchange(ctx, host, who, door, scopes, &transport.Challenge{
		Scheme: asked.scheme, Parameters: asked.params, Insecure: realm.Scheme == "http",
	})
	if err != nil {
		return nil, refusedBy(realm, door.wait, err)
	}
	return got, nil
}

// allowed is the realm's URL if credentials may be sent there: to the origin
// that was configured; else to the registry's own host, or to the first https
// origin that a challenge named. Later challenges cannot name another. Plain
// http is for registries that are plain http themselves.
func (t *challengeTransport) allowed(raw string) (*url.URL, error) {
	realm, err := url.Parse(raw)
	if err != nil || (realm.Scheme != "http" && realm.Scheme != "https") || realm.Host == "" || realm.User != nil {
		return nil, errors.New("401 Unauthorized, and the challenge names no token server that could be asked")
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	switch {
	case t.realm == nil:
		own := strings.EqualFold(realm.Hostname(), t.base.Hostname()) && t.base.Scheme == "http"
		if realm.Scheme != "https" && !own {
			return nil, fmt.Errorf("the challenge names the token server %s, which would get the password unencrypted: set it as token realm if it is the right one", origin(realm))
		}
		t.realm = realm
	case !sameOrigin(t.realm, realm):
		return nil, fmt.Errorf("the challenge names the token server %s, but %s is the one to be used: no credentials were sent", origin(realm), origin(t.realm))
	}
	return realm, nil
}

func origin(u *url.URL) string { return u.Scheme + "://" + u.Host }

// refusedBy is the error for a token server that gives no token. The library's
// own text is not repeated: it holds the server's, which may hold anything. wait is
// how long the server asked to be left alone.
func refusedBy(realm *url.URL, wait time.Duration, err error) error {
	e := &Error{outage: true, Reason: "the token server " + origin(realm) + " gives no token", RetryAfter: wait}
	var answer *transport.Error
	if errors.As(err, &answer) {
		e.StatusCode = answer.StatusCode
		e.Reason += fmt.Sprintf(": %d %s", answer.StatusCode, http.StatusText(answer.StatusCode))
		if answer.StatusCode != http.StatusTooManyRequests && answer.StatusCode < http.StatusInternalServerError {
			e.Reason += ": check user name and password"
		}
		return e
	}
	if wrapped := (*url.Error)(nil); errors.As(err, &wrapped) {
		e.Reason += ": " + wrapped.Err.Error() + tlsHint(wrapped.Err)
		e.err = wrapped.Err
	}
	return e
}

// pinned lets requests through to one origin only, redirected ones too. It is for
// one at a time.
type pinned struct {
	next   http.RoundTripper
	origin *url.URL
	wait   time.Duration // for which the last answer asks to be left alone
}

func (p *pinned) RoundTrip(req *http.Request) (*http.Response, error) {
	if !sameOrigin(req.URL, p.origin) {
		return nil, fmt.Errorf("it redirects to another host, %.80q", req.URL.Host)
	}
	resp, err := p.next.RoundTrip(req)
	if err == nil {
		p.wait = askedFor(resp.Header, time.Now())
	}
	return resp, err
}

// CloseIdleConnections lets http.Client reach the network below.
func (t *challengeTransport) CloseIdleConnections() { closeIdle(t.next) }
