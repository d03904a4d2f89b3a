package registry

import (
	"context"
	"errors"
	"io"
	"net/http"
	"time"
)

// Capabilities are what a registry shows of itself.
type Capabilities struct {
	// API is GitLab or Distribution: the one that surveys use.
	API API
	// Version is that of GitLab's registry, "" if it is another's.
	Version string
	// MetadataDatabase is "true" or "false" as GitLab's registry says, "" if
	// it does not.
	MetadataDatabase string
	// Note says what the operator should know about the choice, or "".
	Note string
	// Identity is what a run remembers of the registry: origin, prefix and API.
	Identity string
}

// Probe finds out which API there is and remembers it, for surveys and for the
// next Probe, which asks again. With Auto, GitLab's is chosen only where it is
// really there: a GitLab registry without its metadata database is used by the
// distribution API.
func (c *Client) Probe(ctx context.Context) (Capabilities, error) {
	found, err := c.probe(ctx)
	if err != nil {
		return Capabilities{}, err
	}
	found.Identity = c.base.String() + " (" + string(found.API) + ")"
	c.mu.Lock()
	defer c.mu.Unlock()
	c.capabilities = found
	return found, nil
}

// probed is what the last Probe found; without one, it probes.
func (c *Client) probed(ctx context.Context) (Capabilities, error) {
	c.mu.Lock()
	found := c.capabilities
	c.mu.Unlock()
	if found.API != "" {
		return found, nil
	}
	return c.Probe(ctx)
}

func (c *Client) probe(ctx context.Context) (Capabilities, error) {
	root, err := c.ping(ctx, routeV2)
	if err != nil {
		return Capabilities{}, err
	}
	found := Capabilities{API: Distribution, Version: root.version, MetadataDatabase: root.database}
	if c.cfg.API == Distribution {
		return found, nil
	}
	_, err = c.ping(ctx, routeGitLab)
	absent := (*Error)(nil)
	switch {
	case err == nil:
		found.API = GitLab
		return found, nil
	case !errors.As(err, &absent) || absent.StatusCode != http.StatusNotFound || c.cfg.API == GitLab:
		return Capabilities{}, err
	case absent.noBody && absent.version != "":
		found.Version = absent.version
		found.Note = "this is GitLab's registry with its metadata database off, so the list API is missing and the distribution API is used"
	}
	return found, nil
}

// pong is what the answer to a ping shows.
type pong struct {
	version  string
	database string
	date     time.Time // zero: not said
}

// ping asks for the root of an API. Only a JSON object is a sign of it: where
// everything is 200, a web page would be.
func (c *Client) ping(ctx context.Context, route string) (pong, error) {
	var p pong
	err := c.do(ctx, c.at(route, nil), func(header http.Header, body io.Reader) error {
		p.version = header.Get(versionHeader)
		p.database = header.Get(databaseHeader)
		p.date, _ = http.ParseTime(header.Get("Date"))
		return decodeEmpty(body)
	})
	return p, err
}
