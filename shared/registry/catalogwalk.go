package registry

import (
	"context"
	"fmt"
	"hash/maphash"
	"net/http"
	"net/url"
	"slices"
)

// CatalogWalk reads the catalog page by page, from whichever position on, and
// makes sure of what no page can show by itself: that the pages do not lead in a
// circle, that the last one is the last, and, where registries are known to drop
// names between two pages (the distribution API), that this one does not.
//
// It takes one request for each page and one at the end, twice as many with the
// distribution API. It is not safe for concurrent use.
type CatalogWalk struct {
	client *Client
	verify bool // what lies between two pages
	seed   maphash.Seed
	read   map[uint64]struct{} // the positions of the pages read
	last   string              // of those the one read last; "": the first page
	ahead  *catalogPage        // read before its turn
}

// catalogPage is a page of the catalog and where it was read.
type catalogPage struct {
	position string
	paths    []string
	next     string
}

// CatalogWalk begins a walk. It probes the registry if that was not done yet.
func (c *Client) CatalogWalk(ctx context.Context) (*CatalogWalk, error) {
	found, err := c.probed(ctx)
	if err != nil {
		return nil, err
	}
	return &CatalogWalk{
		client: c, verify: found.API == Distribution,
		seed: maphash.MakeSeed(), read: map[uint64]struct{}{},
	}, nil
}

// Page reads the page at a position, "" being the first, and returns the next
// one's position, "" after the last. A page may be read again, and after an error
// should be, for what changes between two requests can look like a fault.
func (w *CatalogWalk) Page(ctx context.Context, position string) (paths []string, next string, err error) {
	page, err := w.page(ctx, position)
	if err != nil {
		return nil, "", err
	}
	switch _, known := w.read[w.hash(page.next)]; {
	case len(w.read) == maxPages:
		err = suspect("the catalog does not end after 1,000,000 pages")
	case page.next == "":
		err = w.confirmEnd(ctx, page)
	case known:
		err = suspect("the next page cannot be read: " + errLedBack.Error())
	case w.verify:
		err = w.confirmBorder(ctx, page)
	}
	if err != nil {
		w.ahead = nil
		return nil, "", err
	}
	w.read[w.hash(position)] = struct{}{}
	if first, err := w.client.catalogAt(""); position == "" && err == nil {
		w.read[w.hash(routeCatalog+"?"+first.RawQuery)] = struct{}{} // by which a Link may lead back
	}
	w.last = position
	return page.paths, page.next, nil
}

func (w *CatalogWalk) hash(position string) uint64 { return maphash.String(w.seed, position) }

// page reads the page at a position if that was not done ahead.
func (w *CatalogWalk) page(ctx context.Context, position string) (*catalogPage, error) {
	if w.ahead != nil && w.ahead.position == position {
		return w.ahead, nil
	}
	paths, next, err := w.client.CatalogPage(ctx, position)
	return &catalogPage{position: position, paths: paths, next: next}, err
}

// confirmEnd makes sure that nothing follows after a page without a Link: some
// registries forgot it in mid-catalog, and one that has just lost everything
// gives an empty page.
func (w *CatalogWalk) confirmEnd(ctx context.Context, end *catalogPage) error {
	if len(end.paths) == 0 {
		return w.confirmEmpty(ctx, end)
	}
	position, ok := w.behind(end, end.paths[len(end.paths)-1])
	if !ok {
		return nil
	}
	more, _, err := w.client.CatalogPage(ctx, position)
	if err != nil {
		return err
	}
	for _, path := range more {
		if !slices.Contains(end.paths, path) {
			return suspect(fmt.Sprintf("the catalog ends without a next page, but %q follows", path))
		}
	}
	return nil
}

// confirmEmpty makes sure of an end that is an empty page, as after pages that
// are all full: it is empty still, and the page read before it is not. An empty
// first page is for others to believe.
func (w *CatalogWalk) confirmEmpty(ctx context.Context, end *catalogPage) error {
	if end.position == "" {
		return nil
	}
	for _, page := range []struct {
		position string
		empty    bool
	}{{w.last, false}, {end.position, true}} {
		paths, _, err := w.client.CatalogPage(ctx, page.position)
		if err != nil {
			return err
		}
		if (len(paths) == 0) != page.empty {
			return suspect("what was listed a moment ago is not listed now: the catalog may have been cut short")
		}
	}
	return nil
}

// confirmBorder makes sure that no name is dropped between a page and the next:
// it reads that one ahead, and a page that begins in the middle of this one and
// so has the border in its own.
func (w *CatalogWalk) confirmBorder(ctx context.Context, page *catalogPage) error {
	if len(page.paths) == 0 {
		return suspect("an empty page of the catalog has a next one, so it cannot be told whether names were dropped between them")
	}
	position, ok := w.behind(page, page.paths[(len(page.paths)-1)/2])
	if !ok {
		return suspect("the catalog's pages cannot be made to overlap, so it cannot be told whether names are dropped between them")
	}
	across, _, err := w.client.CatalogPage(ctx, position)
	if err != nil {
		return err
	}
	ahead, err := w.page(ctx, page.next)
	if err != nil {
		return err
	}
	if last := page.paths[len(page.paths)-1]; !slices.Contains(across, last) {
		return suspect(fmt.Sprintf("%q is at the end of a page of the catalog, and not in the middle of one that should have it there", last))
	}
	for _, path := range across {
		if !slices.Contains(page.paths, path) && !slices.Contains(ahead.paths, path) {
			return suspect(fmt.Sprintf("%q is dropped between two pages of the catalog, as versions of distribution before mid-2026 do", path))
		}
	}
	w.ahead = ahead
	return nil
}

// behind is the position of the page that begins after path, of the same size as
// page. ok is false where the registry's pages are not asked for by a path.
func (w *CatalogWalk) behind(page *catalogPage, path string) (position string, ok bool) {
	at, err := w.client.catalogAt(page.position)
	if err != nil {
		return "", false
	}
	query, err := url.ParseQuery(at.RawQuery)
	if err != nil || page.position != "" && !query.Has("last") {
		return "", false
	}
	query.Set("last", path)
	return routeCatalog + "?" + query.Encode(), true
}

// suspect is the error of pages that are well-formed, but do not go together.
func suspect(reason string) error {
	return &Error{StatusCode: http.StatusOK, Path: routeCatalog, Reason: "200 OK, but " + reason}
}
