package registry

import (
	"context"
	"errors"
	"net/http"
	"time"

	"regmend/shared/gitlab"
)

// Inspection is what can be seen of a registry from outside: facts, no judgement.
type Inspection struct {
	Capabilities
	// Challenge is what a request without credentials is told.
	Challenge Challenge
	// Credentials are those that are configured: "none", "password" or "key".
	Credentials string
	// Issuer and Service are those of tokens signed here, "" if none are.
	Issuer, Service string
	// ClockAhead is the registry's clock minus ours, to a second; ClockKnown
	// tells whether the registry said.
	ClockAhead time.Duration
	ClockKnown bool
	// List, Pull and Catalog tell what the credentials are good for. List is
	// asked for with GitLab's API only.
	List, Pull, Catalog Grant
	// CatalogLarge: the catalog has more than one page of 1000.
	CatalogLarge bool
	// Compared are the sampled paths whose own listing was compared with what
	// the tags say; Contradicted those that have tags and were not listed,
	// which shows that the database's collation is not C.
	Compared, Contradicted []string
}

// Challenge is what a registry answers to a request without credentials.
type Challenge struct {
	Scheme  string // "" (open), "basic", "bearer"
	Realm   string
	Service string
}

// Grant tells whether something may be done.
type Grant struct {
	Asked   bool
	Path    string // the repository asked about, "" for the catalog
	Granted bool
	Reason  string // why not
}

// Inspect asks what the registry is and what the credentials are good for.
// samplePaths are registry paths of repositories that should be there; with
// none, rights are asked for a path that nobody has. An error means that the
// registry could not be probed; the challenge is known even then, if there was
// an answer.
func (c *Client) Inspect(ctx context.Context, samplePaths []string) (Inspection, error) {
	in := Inspection{Credentials: c.credentials()}
	if c.signer != nil {
		in.Issuer, in.Service = c.cfg.TokenIssuer, c.cfg.TokenService
	}
	var err error
	if in.Challenge, err = c.challenged(ctx); err != nil {
		return in, err
	}
	if in.Capabilities, err = c.Probe(ctx); err != nil {
		return in, err
	}
	if err := c.inspectClock(ctx, &in); err != nil {
		return in, err
	}
	c.inspectGrants(ctx, &in, samplePaths)
	if in.API == GitLab {
		c.inspectCollation(ctx, &in, samplePaths)
	}
	return in, ctx.Err()
}

func (c *Client) credentials() string {
	switch {
	case c.signer != nil:
		return "key"
	case c.cfg.Username != "":
		return "password"
	}
	return "none"
}

// challenged asks without credentials.
func (c *Client) challenged(ctx context.Context) (Challenge, error) {
	ctx, cancel := withDeadline(ctx, "the answer", c.cfg.RequestTimeout)
	defer cancel()
	target := c.at(routeV2, nil)
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, target.String(), nil)
	if err != nil {
		return Challenge{}, &Error{Path: target.Path, Reason: "this is no address to ask", err: err}
	}
	resp, err := c.bare.RoundTrip(req)
	if err != nil {
		return Challenge{}, noAnswer(ctx, target.Path, err)
	}
	defer resp.Body.Close() //nolint:errcheck // it was only read
	defer drain(resp.Body)
	found, _ := findChallenge(resp.Header)
	return Challenge{Scheme: found.scheme, Realm: found.params["realm"], Service: found.params["service"]}, nil
}

func (c *Client) inspectClock(ctx context.Context, in *Inspection) error {
	began := time.Now()
	root, err := c.ping(ctx, routeV2)
	if err != nil || root.date.IsZero() {
		return err
	}
	middle := began.Add(time.Since(began) / 2)
	in.ClockKnown, in.ClockAhead = true, root.date.Sub(middle).Round(time.Second)
	return nil
}

// nobodysPath is asked about where there is no sample. That nothing of the name
// is there shows the right to ask as well as anything.
const nobodysPath = "regmend-nobody/regmend-nothing"

func (c *Client) inspectGrants(ctx context.Context, in *Inspection, samples []string) {
	path := nobodysPath
	for _, sample := range samples {
		if gitlab.ValidRepositoryPath(sample) {
			path = sample
			break
		}
	}
	if in.API == GitLab {
		_, err := c.list(ctx, path, func([]entry) error { return errStop })
		in.List = grant(path, err)
	}
	_, err := c.Tagged(ctx, path)
	in.Pull = grant(path, err)
	pages := 0
	_, err = c.Catalog(ctx, func([]string) error {
		if pages++; pages > 1 {
			return errStop
		}
		return nil
	})
	in.CatalogLarge = pages > 1
	in.Catalog = grant("", err)
}

func grant(path string, err error) Grant {
	g := Grant{Asked: true, Path: path, Granted: err == nil || errors.Is(err, errStop)}
	if !g.Granted {
		g.Reason = err.Error()
	}
	return g
}

// maxCompared bounds the paths whose listing is compared with their tags.
const maxCompared = 5

func (c *Client) inspectCollation(ctx context.Context, in *Inspection, samples []string) {
	for _, path := range samples {
		if len(in.Compared) == maxCompared {
			return
		}
		if !affected(path) || !gitlab.ValidRepositoryPath(path) {
			continue
		}
		listed, err := c.lists(ctx, path)
		if err != nil {
			continue
		}
		tagged, err := c.Tagged(ctx, path)
		if err != nil {
			continue
		}
		in.Compared = append(in.Compared, path)
		if tagged && !listed {
			in.Contradicted = append(in.Contradicted, path)
		}
	}
}
