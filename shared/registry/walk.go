package registry

import (
	"context"
	"errors"
	"hash/maphash"
	"io"
	"net/http"
	"net/url"
	"strconv"

	"github.com/sirupsen/logrus"
)

// maxPages bounds a listing far above any real one, so that a registry that
// always has a next page is an error and not a listing without end.
const maxPages = 1_000_000

// errStop is returned by a page callback that has seen enough.
var errStop = errors.New("stop")

// walk reads a listing page by page, beginning with size entries asked of the
// route, and hands each page's entries over once that page is wholly read.
// pages counts those read, the last one included.
func walk[T any](ctx context.Context, c *Client, route string, size int,
	decode func(io.Reader) ([]T, error), page func(entries []T) error,
) (pages int, err error) {
	var (
		at     = c.at(route, url.Values{"n": {strconv.Itoa(size)}})
		before *url.URL // the page before
		seen   *trail
	)
	for pages = 1; pages <= maxPages; pages++ {
		var (
			entries []T
			links   []string
		)
		err := c.do(ctx, at, func(header http.Header, body io.Reader) (err error) {
			links = header.Values("Link")
			entries, err = decode(body)
			return err
		})
		if err != nil {
			return pages, later(err, pages)
		}
		if c.debugs {
			c.cfg.Log.WithFields(logrus.Fields{"path": at.Path, "page": pages, "entries": len(entries)}).Debug("registry page")
		}
		if err := page(entries); err != nil {
			return pages, err
		}
		if len(links) > 0 && seen == nil {
			seen = newTrail()
		}
		next, err := seen.next(at, route, links)
		if err != nil {
			return pages, &Error{StatusCode: http.StatusOK, Path: at.Path, Reason: "200 OK, but the next page cannot be read: " + err.Error(), err: err}
		}
		if next == nil {
			if before != nil && len(entries) == 0 {
				err = confirmEnd(ctx, c, before, at, decode)
			}
			return pages, err
		}
		before, at = at, next
	}
	return pages, &Error{StatusCode: http.StatusOK, Path: at.Path, Reason: "the listing does not end after 1,000,000 pages"}
}

// confirmEnd makes sure that a listing is over whose last page is empty, as it is
// if the pages before are all full. So answers a registry, too, that has just
// lost everything: then the page before is empty as well.
func confirmEnd[T any](ctx context.Context, c *Client, before, last *url.URL, decode func(io.Reader) ([]T, error)) error {
	for _, page := range []struct {
		at    *url.URL
		empty bool
	}{{before, false}, {last, true}} {
		var entries []T
		err := c.do(ctx, page.at, func(_ http.Header, body io.Reader) (err error) {
			entries, err = decode(body)
			return err
		})
		if err != nil {
			return later(err, 2)
		}
		if (len(entries) == 0) != page.empty {
			return &Error{StatusCode: http.StatusOK, Path: last.Path, Reason: "200 OK, but what was listed a moment ago is not listed now: the listing may have been cut short"}
		}
	}
	return nil
}

// later takes from an error of a page after the first what only a first page
// may say: that there is nothing of that name, after some of it was listed.
func later(err error, pages int) error {
	if answer := (*Error)(nil); pages > 1 && errors.As(err, &answer) && isNameUnknown(err) {
		answer.Code = ""
		answer.Reason += " in the middle of a listing"
	}
	return err
}

func isNameUnknown(err error) bool {
	answer := (*Error)(nil)
	return errors.As(err, &answer) && answer.StatusCode == http.StatusNotFound && answer.Code == nameUnknown
}

// trail remembers which pages a walk has read: 8 bytes of each page's "last",
// since a listing may have many pages and no order that could be compared.
type trail struct {
	seed maphash.Seed
	seen map[uint64]struct{}
}

func newTrail() *trail {
	t := &trail{seed: maphash.MakeSeed(), seen: make(map[uint64]struct{})}
	t.add("")
	return t
}

// add tells whether last is new.
func (t *trail) add(last string) bool {
	h := maphash.String(t.seed, last)
	_, known := t.seen[h]
	t.seen[h] = struct{}{}
	return !known
}

// next is the page to read after the one asked for, nil at the end. Without links
// the trail may be nil.
func (t *trail) next(asked *url.URL, route string, links []string) (*url.URL, error) {
	target, err := nextLink(links)
	if target == "" || err != nil {
		return nil, err
	}
	next, err := follow(asked, route, target)
	if err != nil {
		return nil, err
	}
	query, err := url.ParseQuery(next.RawQuery)
	if err != nil {
		return nil, errors.New("the next page's query is malformed")
	}
	if !t.add(query.Get("last")) {
		return nil, errors.New("its Link leads back to a page already read")
	}
	return next, nil
}
