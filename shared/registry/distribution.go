package registry

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"

	"regmend/shared/gitlab"
)

// smallCatalogPage is asked for where 1000 is more than is allowed: the number
// that registries give when none is asked for.
const smallCatalogPage = 100

// Catalog walks the whole catalog, every repository of every project, and hands
// it to page. distribution lists repositories without tags too, GitLab's registry
// those with a manifest. An error of page ends the walk and is returned as it is.
func (c *Client) Catalog(ctx context.Context, page func(paths []string) error) (pages int, err error) {
	size := int(c.catalogPageSize.Load())
	pages, err = walk(ctx, c, routeCatalog, size, decodeCatalog, page)
	refused := (*Error)(nil)
	if pages == 1 && size > smallCatalogPage && errors.As(err, &refused) && refused.StatusCode == http.StatusBadRequest {
		c.catalogPageSize.Store(smallCatalogPage)
		return walk(ctx, c, routeCatalog, smallCatalogPage, decodeCatalog, page)
	}
	return pages, err
}

// listFromCatalog lists a project of a registry that has no other listing.
func (s *Survey) listFromCatalog(ctx context.Context, p gitlab.Project, page func([]gitlab.Repository) error) (gitlab.Evidence, error) {
	if err := s.readCatalog(ctx); err != nil {
		return gitlab.Evidence{}, err
	}
	return s.catalog.hand(p, methodDistribution, page, all)
}

// Tagged tells whether the repository of that registry path has a tag. One that
// was never pushed has none.
func (c *Client) Tagged(ctx context.Context, path string) (tagged bool, err error) {
	tagged, err = c.tagged(ctx, path)
	if isNameUnknown(err) {
		return false, nil
	}
	return tagged, err
}

// Unknown tells whether the registry says that it knows no repository of that
// path: one that it knows may still have no tag. Asked for a path that no
// repository can have, it says so with an error.
func (c *Client) Unknown(ctx context.Context, path string) (bool, error) {
	_, err := c.tagged(ctx, path)
	if isNameUnknown(err) {
		return true, nil
	}
	return false, err
}

// tagged is Tagged, but that an unknown repository is an error.
func (c *Client) tagged(ctx context.Context, path string) (tagged bool, err error) {
	if !gitlab.ValidRepositoryPath(path) {
		return false, &Error{Path: path, Reason: fmt.Sprintf("%.300q is not a path a repository can have", path)}
	}
	err = c.do(ctx, c.at(tagsRoute(path), url.Values{"n": {"1"}}), func(_ http.Header, body io.Reader) (err error) {
		tagged, err = decodeTagged(body)
		return err
	})
	return tagged, err
}

// Holds tells whether the registry knows the repository in the way listings do:
// its own listing contains it (GitLab's API), or it has a tag (distribution).
// Where its own listing cannot be believed, its tags decide: they come from the
// same metadata, but are looked up by the exact path.
func (c *Client) Holds(ctx context.Context, path string) (bool, error) {
	if !gitlab.ValidRepositoryPath(path) {
		return false, nil // GitLab may have such a row; nothing can be pushed there
	}
	found, err := c.probed(ctx)
	if err != nil {
		return false, err
	}
	if found.API == Distribution || affected(path) {
		return c.Tagged(ctx, path)
	}
	return c.lists(ctx, path)
}

// lists tells whether the listing of a path contains the path itself, and reads
// no further than that.
func (c *Client) lists(ctx context.Context, path string) (bool, error) {
	_, err := c.list(ctx, path, func(entries []entry) error {
		if slices.ContainsFunc(entries, func(e entry) bool { return e.path == path }) {
			return errStop
		}
		return nil
	})
	if errors.Is(err, errStop) {
		return true, nil
	}
	return false, err
}
