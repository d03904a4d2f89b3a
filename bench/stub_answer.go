package main

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"
)

// list answers the list API.
func (s *stub) list(o *orders, w http.ResponseWriter, r *http.Request, path string) {
	if path == strings.ToLower(largePath) {
		o.listLarge(w, r)
		return
	}
	body := append(make([]byte, 0, 256), '[')
	for repository := range o.Shape.below(path) {
		body = appendEntry(body, repository)
	}
	answer(w, append(body, ']'))
}

// below yields the registry paths of the repositories at or below the path.
func (s shape) below(path string) func(yield func(string) bool) {
	return func(yield func(string) bool) {
		group, id, ok := s.parse(path)
		switch {
		case !ok:
		case id == 0:
			for id := range s.taggedIn(group) {
				if !yield(s.repository(id)) {
					return
				}
			}
		case tagged(id):
			yield(s.repository(id))
		}
	}
}

// repository is the registry path of the project's one repository.
func (s shape) repository(id int64) string {
	return strings.ToLower(s.fullPath(id)) + "/" + repositoryName
}

func appendEntry(body []byte, path string) []byte {
	if len(body) > 1 {
		body = append(body, ',')
	}
	body = append(body, `{"name":"web","path":"`...)
	body = append(body, path...)
	return append(body, `","created_at":"2024-05-01T10:00:00.000Z"}`...)
}

func answer(w http.ResponseWriter, body []byte) {
	w.Header()["Content-Type"] = jsonType
	_, _ = w.Write(body) // who is gone needs no answer
}

var jsonType = []string{"application/json"}

// listLarge answers for the one project of many repositories.
func (o *orders) listLarge(w http.ResponseWriter, r *http.Request) {
	from, size := o.page(r, func(last string) (int64, bool) {
		n, err := strconv.ParseInt(last[strings.LastIndexByte(last, '-')+1:], 10, 64)
		return n, err == nil
	})
	body, n := []byte{'['}, from
	for ; n < from+size && n < o.Shape.Large; n++ {
		body = appendEntry(body, largeRepository(n+1))
	}
	if n < o.Shape.Large {
		linkNext(w, r, largeRepository(n), size)
	}
	answer(w, append(body, ']'))
}

func largeRepository(n int64) string {
	return fmt.Sprintf("%s/image-%d", strings.ToLower(largePath), n)
}

// page is after how many entries the page begins that is asked for, and its size.
func (o *orders) page(r *http.Request, place func(last string) (int64, bool)) (from, size int64) {
	query := r.URL.Query()
	size, err := strconv.ParseInt(query.Get("n"), 10, 64)
	if err != nil || size < 1 {
		size = 100
	}
	if last := query.Get("last"); last != "" {
		from, _ = place(last) // what is not ours is before all
	}
	return from, size
}

func linkNext(w http.ResponseWriter, r *http.Request, last string, size int64) {
	query := r.URL.Query()
	query.Set("last", last)
	query.Set("n", strconv.FormatInt(size, 10))
	w.Header().Set("Link", fmt.Sprintf(`<%s?%s>; rel="next"`, r.URL.Path, query.Encode()))
}

// other answers what is no listing: both roots, the catalog and tags.
func (o *orders) other(w http.ResponseWriter, r *http.Request) {
	switch path := r.URL.Path; {
	case path == "/v2/" || path == "/gitlab/v1/":
		w.Header().Set("Gitlab-Container-Registry-Version", "4.32.0-gitlab")
		w.Header().Set("Gitlab-Container-Registry-Database-Enabled", "true")
		answer(w, []byte("{}"))
	case path == catalogRoute:
		o.catalog(w, r)
	case strings.HasSuffix(path, tagsEnd):
		answer(w, []byte(`{"name":"web","tags":["v1"]}`))
	default:
		http.NotFound(w, r)
	}
}

// catalog lists every repository in the order of the projects' IDs.
func (o *orders) catalog(w http.ResponseWriter, r *http.Request) {
	from, size := o.page(r, func(last string) (int64, bool) {
		_, id, ok := o.Shape.parse(last)
		return id/withRepositories + 1, ok
	})
	body, most := []byte(`{"repositories":[`), (o.Shape.Projects+withRepositories-firstTagged)/withRepositories
	n := from
	for ; n < from+size && n < most; n++ {
		if n > from {
			body = append(body, ',')
		}
		body = strconv.AppendQuote(body, o.Shape.repository(n*withRepositories+firstTagged))
	}
	if n < most {
		linkNext(w, r, o.Shape.repository((n-1)*withRepositories+firstTagged), size)
	}
	answer(w, append(body, `]}`...))
}
