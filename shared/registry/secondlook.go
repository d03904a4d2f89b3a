package registry

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/url"

	"regmend/shared/gitlab"
)

// listFromAncestor lists an affected project by the nearest path above it whose
// listing can be believed.
func (s *Survey) listFromAncestor(ctx context.Context, w *shared, p gitlab.Project, page func([]gitlab.Repository) error) (gitlab.Evidence, error) {
	w.expire(groupFor)
	err := w.once(func(keep func([]entry) error) (int, error) {
		return s.client.list(ctx, ancestor(p.RegistryPath()), keep)
	})
	if err != nil {
		return gitlab.Evidence{}, err
	}
	return w.hand(p, methodAncestor, page, all)
}

// listWithoutAncestor lists an affected project above which there are only
// affected paths. The size of all that is below its path is computed without
// the bounds that are at fault: nothing there, no repositories. Otherwise the
// catalog tells which, and since it lists emptied repositories too, each is
// asked for its tags.
func (s *Survey) listWithoutAncestor(ctx context.Context, p gitlab.Project, page func([]gitlab.Repository) error) (gitlab.Evidence, error) {
	if gitlab.ValidRepositoryPath(p.RegistryPath()) {
		empty, err := s.client.empty(ctx, p.RegistryPath())
		if err != nil {
			return gitlab.Evidence{}, err
		}
		if empty {
			return gitlab.Evidence{Method: methodSize, Pages: 1}, nil
		}
	}
	if err := s.readCatalog(ctx); err != nil {
		return gitlab.Evidence{}, needsCatalog(err)
	}
	return s.catalog.hand(p, methodCatalog, page, func(path string) (bool, error) {
		return s.client.Tagged(ctx, path)
	})
}

// empty tells whether nothing tagged takes up space at or below the path. A
// repository of no bytes may still have a tag (an image without layers), so one
// that is there is not called empty; of ones further below nothing is known to
// have none.
func (c *Client) empty(ctx context.Context, path string) (bool, error) {
	var s size
	target := c.at(detailsRoute(path), url.Values{"size": {"self_with_descendants"}})
	err := c.do(ctx, target, func(_ http.Header, body io.Reader) (err error) {
		s, err = decodeSize(body)
		return err
	})
	if isNameUnknown(err) {
		return true, nil
	}
	return s.bytes == 0 && !s.exists, err
}

// needsCatalog makes of a catalog that is refused a fault of this one project's,
// which says what it needs: all others can be listed without.
func needsCatalog(err error) error {
	answer := (*Error)(nil)
	if !errors.As(err, &answer) || (answer.StatusCode != http.StatusUnauthorized && answer.StatusCode != http.StatusForbidden) {
		return err
	}
	refused := *answer
	refused.outage = false
	refused.Reason = "the registry's listing of this path cannot be believed, and the catalog, which could, is not granted: it needs a token for registry:catalog:* (" + answer.Reason + ")"
	return &refused
}
