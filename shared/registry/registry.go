// Package registry is the only door to the container registry: GitLab's API
// and the distribution API, with their credentials.
//
// It asks, and tells exactly what was answered. What is not a whole, well-formed
// answer is an error and never an empty listing. Nothing is retried but a
// request whose token was refused, once, with a new token: whoever calls knows
// better whether to hold or to go on.
package registry

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sirupsen/logrus"
)

// API is a way to list a registry's repositories.
type API string

// The APIs. Auto stands for whichever Probe finds.
const (
	Auto         API = "auto"
	GitLab       API = "gitlab"
	Distribution API = "distribution"
)

// Config says which registry to ask, and how. Zero values mean the defaults
// given here; URL alone is required.
type Config struct {
	// URL is http(s)://host[:port][/prefix], without user name and password.
	URL string
	// API is Auto by default.
	API API
	// Username and Password are sent as the registry challenges for them: to
	// the registry itself (Basic), or to its token server (Bearer).
	Username string
	Password string
	// TokenKeyFile is the PEM file of the private key (RSA or P-256) with which
	// tokens are signed instead; it is read again when it changes.
	TokenKeyFile string
	// TokenIssuer is gitlab-issuer by default.
	TokenIssuer string
	// TokenService is container_registry by default.
	TokenService string
	// TokenRealm is the origin of the token server that may be given the user
	// name and password, such as https://gitlab.example.com. By default it is
	// the registry's own host, or the one that the first challenge names, if
	// that is an https URL; it is then the only one for the client's life.
	TokenRealm string
	// CAFile is a PEM file of authorities to trust beside the system's.
	CAFile string
	// PageSize is asked at the beginning of each listing; 1000 by default,
	// and brought into 1..1000.
	PageSize func() int
	// RequestTimeout bounds a request with its answer; 30 s by default. A page of
	// the catalog may take four times as long.
	RequestTimeout time.Duration
	// ProjectTimeout bounds one listing of one project; 10 min by default.
	ProjectTimeout time.Duration
	// MaxBody bounds the body of one answer in bytes; 8 MiB by default.
	MaxBody int64
	// Admit returns when a request may go out, to the registry or its token
	// server, or the cause of ctx. What it takes does not count as the registry's
	// time. By default everything goes at once. It is called concurrently.
	Admit func(ctx context.Context) error
	// Observe is told of each answer, and of each that did not come. It is called
	// concurrently.
	Observe func(Answered)
	// Log gets a debug line for each page. Nothing is logged by default.
	Log logrus.FieldLogger
}

// Answered is what can be told of an answer, of the registry or its token server,
// before it is read.
type Answered struct {
	// Status is 0 where none came.
	Status int
	// Took is how long it took to come.
	Took time.Duration
	// Large: it is a page of the catalog, or may have more than a few names in it.
	// Such answers take longer than those that say that there is nothing.
	Large bool
}

// Client asks one registry. It is safe for concurrent use.
type Client struct {
	cfg    Config
	base   *url.URL // origin and prefix
	http   *http.Client
	bare   http.RoundTripper // without credentials
	debugs bool              // pages are logged
	signer *signer           // nil: tokens are not signed here

	catalogPageSize atomic.Int64

	mu           sync.Mutex
	capabilities Capabilities // API "": not probed yet
}

// New checks the configuration, one line for each fault, and reads the key and
// CA files. It sends no request.
func New(cfg Config) (*Client, error) {
	base, err := cfg.validate()
	cfg = cfg.withDefaults()
	c := &Client{cfg: cfg, base: base, debugs: debugs(cfg.Log)}
	c.catalogPageSize.Store(maxPageSize)
	faults := []error{err}
	if cfg.TokenKeyFile != "" {
		c.signer, err = newSigner(cfg.TokenKeyFile, cfg.TokenIssuer, cfg.TokenService)
		faults = append(faults, err)
	}
	wire, err := newWire(cfg.CAFile)
	faults = append(faults, err)
	if err := errors.Join(faults...); err != nil {
		return nil, err
	}
	c.bare = &admission{next: &observer{next: wire, observe: cfg.Observe}, admit: cfg.Admit}
	c.http = &http.Client{
		Transport: c.withCredentials(c.bare),
		// A redirect is an answer nobody expects here: followed, it would
		// lead to another host's idea of a listing.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	return c, nil
}

// debugs tells whether a debug line would be written: to make one that is not
// costs as much as to read an empty page.
func debugs(log logrus.FieldLogger) bool {
	switch log := log.(type) {
	case *logrus.Logger:
		return log.IsLevelEnabled(logrus.DebugLevel)
	case *logrus.Entry:
		return log.Logger.IsLevelEnabled(logrus.DebugLevel)
	default:
		return true
	}
}

// Close closes the connections that are idle.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// at is the URL of a route of the registry's, below origin and prefix.
func (c *Client) at(route string, query url.Values) *url.URL {
	u := *c.base
	u.Path += route
	u.RawQuery = query.Encode()
	return &u
}

func (c *Client) pageSize() int {
	return min(max(c.cfg.PageSize(), 1), maxPageSize)
}

// withProjectTimeout bounds the listing of a project.
func (c *Client) withProjectTimeout(ctx context.Context) (context.Context, context.CancelFunc) {
	return withDeadline(ctx, "the listing", c.cfg.ProjectTimeout)
}
