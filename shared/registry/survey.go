package registry

import (
	"context"
	"fmt"
	"hash/maphash"
	"slices"
	"time"

	"regmend/shared/gitlab"
)

// The methods that evidence names.
const (
	methodGitLab       = "gitlab"
	methodAncestor     = "gitlab-ancestor"
	methodSize         = "gitlab-size"
	methodCatalog      = "gitlab-catalog"
	methodDistribution = "distribution"
)

// Survey lists the projects of one batch: work that serves several of them (a
// walk of the catalog, of a group's listing, the signing of a token) is done
// once, and a group's listing again when it has grown old. It should live no
// longer than the batch. It is not safe for concurrent use.
type Survey struct {
	client *Client
	api    API

	direct map[string]int // registry path: its place in rights
	rights [][]access

	above   map[string]*shared // by ancestor
	catalog *shared
	// catalogued are the projects that the catalog serves, where the registry
	// is asked for it.
	catalogued []gitlab.Project
	doubter    doubter

	heard time.Time // the registry gave what List last handed out
}

// Survey prepares the listing of the projects of one batch, none of which may be
// without a path. It probes the registry if that was not done yet.
func (c *Client) Survey(ctx context.Context, projects []gitlab.Project) (*Survey, error) {
	found, err := c.probed(ctx)
	if err != nil {
		return nil, err
	}
	s := &Survey{client: c, api: found.API, direct: map[string]int{}, above: map[string]*shared{}, catalog: newShared()}
	for _, p := range projects {
		if p.FullPath == "" {
			return nil, fmt.Errorf("project %d has no path to be listed by", p.ID)
		}
		s.add(p)
	}
	return s, nil
}

func (s *Survey) add(p gitlab.Project) {
	path := p.RegistryPath()
	switch top := ancestor(path); {
	case s.api == Distribution:
		s.fromCatalog(p)
	case !affected(path):
		s.direct[path] = len(s.rights)
		s.rights = append(s.rights, pullBelow(path))
	case top == "":
		s.fromCatalog(p)
	default:
		if s.above[top] == nil {
			s.above[top] = newShared()
		}
		s.above[top].found[path] = nil
	}
}

func (s *Survey) fromCatalog(p gitlab.Project) {
	s.catalog.found[p.RegistryPath()] = nil
	s.catalogued = append(s.catalogued, p)
}

// NonEmpty tells whether what List hands out is known to have tags, as with
// GitLab's API. If not, those without a row have to be asked for with
// Client.Tagged.
func (s *Survey) NonEmpty() bool { return s.api == GitLab }

// Requests is the least that listing all of the projects takes: a project whose
// listing has further pages takes more, and so does what has to be looked at
// twice and is not empty.
func (s *Survey) Requests() int {
	affected := len(s.catalog.found)
	if s.api == Distribution {
		affected = min(affected, 1) // one walk serves them all
	}
	return len(s.direct) + len(s.above) + affected
}

// List hands the project's own repositories to page, and returns the evidence of a listing read
// to its end. With any error there is no listing, whatever page was given. A
// name may come twice. An error of page ends the listing and is returned as it
// is.
func (s *Survey) List(ctx context.Context, p gitlab.Project, page func([]gitlab.Repository) error) (gitlab.Evidence, error) {
	ctx, cancel := s.client.withProjectTimeout(ctx)
	defer cancel()
	evidence, from, err := s.list(ctx, p, page)
	s.heard = time.Now()
	if from != nil {
		s.heard = from.since
	}
	return evidence, err
}

// Heard is when the registry gave what List last handed out: of work that serves
// several projects, when that was done.
func (s *Survey) Heard() time.Time { return s.heard }

// list is List. from is what the repositories are from, if it serves others as well.
func (s *Survey) list(ctx context.Context, p gitlab.Project, page func([]gitlab.Repository) error) (e gitlab.Evidence, from *shared, err error) {
	path := p.RegistryPath()
	if _, ok := s.direct[path]; ok {
		e, err = s.listDirectly(ctx, p, page)
		return e, nil, err
	}
	if w := s.above[ancestor(path)]; w != nil && w.serves(path) {
		e, err = s.listFromAncestor(ctx, w, p, page)
		return e, w, err
	}
	switch {
	case !s.catalog.serves(path):
		return e, nil, fmt.Errorf("project %d (%s) is not one of this survey's", p.ID, p.FullPath)
	case s.api == Distribution:
		e, err = s.listFromCatalog(ctx, p, page)
		return e, s.catalog, err
	default:
		e, err = s.listWithoutAncestor(ctx, p, page)
		if e.Method == methodSize {
			return e, nil, err
		}
		return e, s.catalog, err
	}
}

// listDirectly lists a project by its own path.
func (s *Survey) listDirectly(ctx context.Context, p gitlab.Project, page func([]gitlab.Repository) error) (gitlab.Evidence, error) {
	path := p.RegistryPath()
	if s.client.signer != nil {
		if err := s.client.signer.prepare(s.rights[s.direct[path]:]); err != nil {
			return gitlab.Evidence{}, &Error{Path: path, Reason: err.Error(), outage: true, err: err}
		}
	}
	var listed distinct
	pages, err := s.client.list(ctx, path, func(entries []entry) error {
		own := ownOf(p, entries)
		listed.add(own)
		return give(page, own)
	})
	if err != nil {
		return gitlab.Evidence{}, err
	}
	return gitlab.Evidence{Method: methodGitLab, Pages: pages, Listed: listed.count()}, nil
}

// distinct counts names of which some may come twice, as when pages overlap: it
// keeps 8 bytes of each.
type distinct struct {
	seed maphash.Seed
	seen map[uint64]struct{}
}

func (d *distinct) add(own []gitlab.Repository) {
	if len(own) > 0 && d.seen == nil {
		d.seed, d.seen = maphash.MakeSeed(), map[uint64]struct{}{}
	}
	for _, r := range own {
		d.seen[maphash.String(d.seed, r.Name)] = struct{}{}
	}
}

func (d *distinct) count() int { return len(d.seen) }

// ownOf are those of the entries that are the project's own: the list API takes
// "_" for any character.
func ownOf(p gitlab.Project, entries []entry) []gitlab.Repository {
	own := make([]gitlab.Repository, 0, len(entries))
	for _, e := range entries {
		if name, ok := p.Owns(e.path); ok {
			own = append(own, gitlab.Repository{Name: name, CreatedAt: e.createdAt})
		}
	}
	return own
}

// give hands repositories out by pages.
func give(page func([]gitlab.Repository) error, own []gitlab.Repository) error {
	for part := range slices.Chunk(own, maxPageSize) {
		if err := page(part); err != nil {
			return err
		}
	}
	return nil
}

// list walks GitLab's list API. An unknown namespace is an empty listing.
func (c *Client) list(ctx context.Context, path string, page func([]entry) error) (pages int, err error) {
	pages, err = walk(ctx, c, listRoute(path), c.pageSize(), decodeListing, page)
	if isNameUnknown(err) {
		return pages, nil
	}
	return pages, err
}
