package registry

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

var (
	// ErrNoCatalog says that the registry refuses its catalog, or has none. If it
	// answers other questions, it is well.
	ErrNoCatalog = errors.New("no catalog")
	// ErrPosition says that a position is none that CatalogPage gave.
	ErrPosition = errors.New("no position of a catalog")
)

// maxCatalogPage bounds the entries of one page: some registries give more than
// they are asked for, none that many.
const maxCatalogPage = 100_000

// maxPosition bounds a position in bytes: a path of 255 bytes, each escaped,
// and what else a registry wants to be given back.
const maxPosition = 4096

// CatalogPage reads one page of the catalog: the first if position is "", else
// the one that a page before it gave as next. next is "" on the last page. A
// position is a path and a query, and serves another client and another day as
// well. Paths come in the registry's order, whichever that is; an empty page is
// no error. That the catalog is refused is ErrNoCatalog.
func (c *Client) CatalogPage(ctx context.Context, position string) (paths []string, next string, err error) {
	at, err := c.catalogAt(position)
	if err != nil {
		return nil, "", err
	}
	paths, next, err = c.catalogPage(ctx, at)
	if position == "" && c.smallerPages(err) {
		return c.CatalogPage(ctx, position)
	}
	return paths, next, noCatalog(err)
}

// smallerPages tells whether err says that the first page asked for was too
// large, and a smaller one will be asked for from now on.
func (c *Client) smallerPages(err error) bool {
	refused := (*Error)(nil)
	return errors.As(err, &refused) && refused.StatusCode == http.StatusBadRequest &&
		c.catalogPageSize.CompareAndSwap(maxPageSize, smallCatalogPage)
}

// GrantsCatalog tells whether the registry lets its catalog be read, and if not
// why.
func (c *Client) GrantsCatalog(ctx context.Context) (granted bool, reason string, err error) {
	_, _, err = c.catalogPage(ctx, c.at(routeCatalog, url.Values{"n": {"1"}}))
	if err = noCatalog(err); errors.Is(err, ErrNoCatalog) {
		return false, err.Error(), nil
	}
	return err == nil, "", err
}

// noCatalog makes ErrNoCatalog of an answer that refuses the catalog. Said of
// anything else it would be an outage; whether it is one, other questions show.
func noCatalog(err error) error {
	answer := (*Error)(nil)
	if !errors.As(err, &answer) {
		return err
	}
	switch answer.StatusCode {
	case http.StatusUnauthorized, http.StatusForbidden:
	case http.StatusNotFound, http.StatusMethodNotAllowed, http.StatusNotImplemented:
	default:
		return err
	}
	refused := *answer
	refused.outage, refused.err = false, ErrNoCatalog
	refused.Reason = "the catalog is not granted: it needs a token for registry:catalog:* (" + answer.Reason + ")"
	return &refused
}

// catalogAt is where the page of that position is asked for. Of a position, too,
// only the query is used.
func (c *Client) catalogAt(position string) (*url.URL, error) {
	if position == "" {
		return c.at(routeCatalog, url.Values{"n": {strconv.FormatInt(c.catalogPageSize.Load(), 10)}}), nil
	}
	ref, err := url.Parse(position)
	if err != nil || ref.Path != routeCatalog || *ref != (url.URL{Path: ref.Path, RawQuery: ref.RawQuery}) {
		return nil, &Error{Path: routeCatalog, Reason: "what was noted as the next page's address is none of the catalog's", err: ErrPosition}
	}
	at := c.at(routeCatalog, nil)
	at.RawQuery = ref.RawQuery
	return at, nil
}

func (c *Client) catalogPage(ctx context.Context, at *url.URL) (paths []string, next string, err error) {
	var links []string
	err = c.do(ctx, at, func(header http.Header, body io.Reader) (err error) {
		links = header.Values("Link")
		paths, err = decodeCatalog(body)
		return err
	})
	if err != nil {
		return nil, "", err
	}
	if len(paths) > maxCatalogPage {
		return nil, "", suspect(fmt.Sprintf("a page of the catalog has %d entries", len(paths)))
	}
	next, err = nextPosition(at, links)
	if err != nil {
		return nil, "", &Error{StatusCode: http.StatusOK, Path: at.Path, Reason: "200 OK, but the next page cannot be read: " + err.Error(), err: err}
	}
	return paths, next, nil
}

// nextPosition is the position that the links of a page lead to, "" if they lead
// nowhere. It can be stored as text.
func nextPosition(asked *url.URL, links []string) (string, error) {
	target, err := nextLink(links)
	if target == "" || err != nil {
		return "", err
	}
	next, err := follow(asked, routeCatalog, target)
	if err != nil {
		return "", err
	}
	position := routeCatalog + "?" + next.RawQuery
	printable := func(r rune) bool { return r != utf8.RuneError && unicode.IsPrint(r) }
	_, malformed := url.ParseQuery(next.RawQuery)
	switch {
	case malformed != nil || strings.ContainsFunc(position, func(r rune) bool { return !printable(r) }):
		return "", errors.New("the next page's query is malformed")
	case len(position) > maxPosition:
		return "", fmt.Errorf("the next page's address has %d bytes, %d at most are expected", len(position), maxPosition)
	case next.RawQuery == asked.RawQuery:
		return "", errLedBack
	}
	return position, nil
}

var errLedBack = errors.New("its Link leads back to a page already read")
