package registry

import (
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
)

// nextLink is the target of the link with relation "next" among the Link
// headers of an answer, "" if there is none. A header that is not well-formed is
// an error: a next page overlooked would be a listing cut short.
func nextLink(headers []string) (string, error) {
	next := ""
	for _, header := range headers {
		links, err := parseLinks(header)
		if err != nil {
			return "", err
		}
		for _, l := range links {
			switch {
			case !l.next:
			case l.target == "":
				return "", errors.New("a next page without address")
			case next != "" && l.target != next:
				return "", errors.New("two different next pages")
			default:
				next = l.target
			}
		}
	}
	return next, nil
}

// link is one link of a Link header (RFC 8288).
type link struct {
	target string
	next   bool
}

func parseLinks(header string) ([]link, error) {
	var links []link
	s := scanner{rest: header}
	for !s.end() {
		if s.take(',') { // a list may have empty elements
			continue
		}
		l, err := s.link()
		if err != nil {
			return nil, err
		}
		links = append(links, l)
		if !s.end() && !s.take(',') {
			return nil, errSyntax
		}
	}
	return links, nil
}

func (s *scanner) link() (link, error) {
	if !s.take('<') {
		return link{}, errSyntax
	}
	// The target ends at '>' alone: commas, semicolons and quotes are its own.
	target, rest, ok := strings.Cut(s.rest, ">")
	if !ok {
		return link{}, errSyntax
	}
	s.rest = rest
	l := link{target: target}
	for rels := 0; s.take(';'); {
		if s.end() || s.rest[0] == ',' || s.rest[0] == ';' { // an empty parameter
			continue
		}
		name, value, err := s.param()
		if err != nil {
			return link{}, err
		}
		if name != "rel" {
			continue
		}
		// Of several rel parameters the first counts.
		if rels++; rels == 1 {
			l.next = slices.Contains(strings.Fields(strings.ToLower(value)), "next")
		}
	}
	return l, nil
}

// follow is the page that a link leads to from the page asked for. Only the
// link's query is used. Its path must be the same route, below whatever prefix
// the registry believes to have; scheme and host, which proxies get wrong, are
// not even looked at.
func follow(asked *url.URL, route, target string) (*url.URL, error) {
	ref, err := url.Parse(target)
	if err != nil {
		return nil, errors.New("the next page's address is not a URL")
	}
	to := asked.ResolveReference(ref)
	if !strings.HasSuffix(to.Path, route) {
		return nil, fmt.Errorf("the next page is of another route: %.100q", to.Path)
	}
	next := *asked
	next.RawQuery = to.RawQuery
	return &next, nil
}
