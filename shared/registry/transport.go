package registry

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"net/http"
	"os"
	"strings"
	"time"
)

func (c *Client) withCredentials(next http.RoundTripper) http.RoundTripper {
	if c.signer != nil {
		return &signedTransport{next: next, base: c.base, signer: c.signer}
	}
	return newChallengeTransport(next, c.base, c.cfg)
}

func newWire(caFile string) (*http.Transport, error) {
	roots, err := rootsWith(caFile)
	if err != nil {
		return nil, err
	}
	return &http.Transport{
		Proxy:                  http.ProxyFromEnvironment,
		DialContext:            (&net.Dialer{Timeout: 10 * time.Second, KeepAlive: 30 * time.Second}).DialContext,
		TLSClientConfig:        &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12},
		TLSHandshakeTimeout:    10 * time.Second,
		MaxIdleConns:           64,
		MaxIdleConnsPerHost:    32,
		IdleConnTimeout:        90 * time.Second,
		MaxResponseHeaderBytes: 64 << 10,
		ForceAttemptHTTP2:      true,
		// What is not asked for compressed cannot unfold beyond the limit.
		DisableCompression: true,
	}, nil
}

// rootsWith is the system's authorities and those of a file; nil, which means
// the system's, if there is no file.
func rootsWith(caFile string) (*x509.CertPool, error) {
	if caFile == "" {
		return nil, nil //nolint:nilnil // nil is tls.Config's word for the system's authorities
	}
	content, err := os.ReadFile(caFile)
	if err != nil {
		return nil, fmt.Errorf("registry CA file: %w", err)
	}
	roots, err := x509.SystemCertPool()
	if err != nil {
		return nil, fmt.Errorf("the system's certificate authorities: %w", err)
	}
	if !roots.AppendCertsFromPEM(content) {
		return nil, fmt.Errorf("registry CA file %s: it holds no certificate in PEM form", caFile)
	}
	return roots, nil
}

// observer tells of each answer of the registry and its token server.
type observer struct {
	next    http.RoundTripper
	observe func(Answered)
}

func (o *observer) RoundTrip(req *http.Request) (*http.Response, error) {
	began := time.Now()
	resp, err := o.next.RoundTrip(req)
	seen := Answered{Took: time.Since(began)}
	if err == nil {
		seen.Status, seen.Large = resp.StatusCode, isLarge(resp)
	}
	o.observe(seen)
	return resp, err
}

// smallBody is what a body has at most that names little or nothing.
const smallBody = 2 << 10

func isLarge(resp *http.Response) bool {
	switch {
	case resp.StatusCode != http.StatusOK:
		return false
	case strings.HasSuffix(resp.Request.URL.Path, routeCatalog):
		return true
	default:
		return resp.ContentLength < 0 || resp.ContentLength > smallBody
	}
}

// CloseIdleConnections lets http.Client reach the network below the layers.
func (o *observer) CloseIdleConnections() { closeIdle(o.next) }

func closeIdle(next http.RoundTripper) {
	if t, ok := next.(interface{ CloseIdleConnections() }); ok {
		t.CloseIdleConnections()
	}
}
