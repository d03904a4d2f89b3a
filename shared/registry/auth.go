package registry

import (
	"errors"
	"net/http"
	"net/url"
	"strings"
)

// errForeignHost keeps credentials at home. Nothing in this package asks
// another host for anything; if something ever does, it gets nothing.
var errForeignHost = errors.New("credentials are for the registry's own origin only")

func sameOrigin(a, b *url.URL) bool {
	return a.Scheme == b.Scheme && strings.EqualFold(a.Host, b.Host)
}

// withAuthorization is the request with that header; "" leaves it without.
func withAuthorization(req *http.Request, value string) *http.Request {
	if value == "" {
		return req
	}
	// A RoundTripper must not change the request it is given.
	clone := req.Clone(req.Context())
	clone.Header.Set("Authorization", value)
	return clone
}

// signedTransport gives each request a token of its own making, and sends it
// once more with a new one if the first is refused.
type signedTransport struct {
	next   http.RoundTripper
	base   *url.URL
	signer *signer
}

func (t *signedTransport) RoundTrip(req *http.Request) (*http.Response, error) {
	if !sameOrigin(req.URL, t.base) {
		return nil, errForeignHost
	}
	rights := accessOf(strings.TrimPrefix(req.URL.Path, t.base.Path))
	resp, used, err := t.send(req, rights)
	if err != nil || resp.StatusCode != http.StatusUnauthorized {
		return resp, err
	}
	refused(resp)
	t.signer.forget(used)
	resp, _, err = t.send(req, rights)
	return resp, err
}

func (t *signedTransport) send(req *http.Request, rights []access) (resp *http.Response, used string, err error) {
	used, err = t.signer.token(rights)
	if err != nil {
		return nil, "", &Error{Reason: err.Error(), outage: true, err: err}
	}
	resp, err = t.next.RoundTrip(withAuthorization(req, "Bearer "+used))
	return resp, used, err
}

// CloseIdleConnections lets http.Client reach the network below.
func (t *signedTransport) CloseIdleConnections() { closeIdle(t.next) }

// refused is done with an answer that is asked for again.
func refused(resp *http.Response) {
	drain(resp.Body)
	_ = resp.Body.Close() // it was only read
}
