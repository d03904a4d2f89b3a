package registrytest

import (
	"net/http"
	"strings"
)

// Kind is what a request is for.
type Kind string

// The kinds of requests.
const (
	Ping    Kind = "ping"    // /v2/
	Probe   Kind = "probe"   // /gitlab/v1/
	List    Kind = "list"    // GitLab's list API
	Details Kind = "details" // of a repository, with its size
	Catalog Kind = "catalog"
	Tags    Kind = "tags"
	Token   Kind = "token" // the token server
	Other   Kind = "other"
)

// route is what a request asks for.
type route struct {
	kind Kind
	// repository is the path in the URL, "" where there is none.
	repository string
	// slashless: the trailing slash is missing.
	slashless bool
}

// Asked tells what a request is for, and the path in its URL, "" where there is
// none.
func (r *Registry) Asked(req *http.Request) (Kind, string) {
	asked := r.parse(req)
	return asked.kind, asked.repository
}

func (r *Registry) parse(req *http.Request) route {
	path, ok := strings.CutPrefix(req.URL.Path, r.opts.Prefix)
	if !ok {
		return route{kind: Other}
	}
	switch path {
	case "/v2/":
		return route{kind: Ping}
	case "/v2/_catalog":
		return route{kind: Catalog}
	case "/gitlab/v1/":
		return route{kind: Probe}
	case "/token":
		return route{kind: Token}
	}
	return parseRepositoryRoute(path)
}

func parseRepositoryRoute(path string) route {
	if repo, ok := between(path, "/v2/", "/tags/list"); ok {
		return route{kind: Tags, repository: repo}
	}
	slashed := strings.TrimSuffix(path, "/")
	slashless := slashed == path
	if repo, ok := between(slashed, "/gitlab/v1/repository-paths/", "/repositories/list"); ok {
		return route{kind: List, repository: repo, slashless: slashless}
	}
	if repo, ok := between(slashed, "/gitlab/v1/repositories/", ""); ok {
		return route{kind: Details, repository: repo, slashless: slashless}
	}
	return route{kind: Other}
}

func between(s, before, after string) (string, bool) {
	s, opens := strings.CutPrefix(s, before)
	s, closes := strings.CutSuffix(s, after)
	return s, opens && closes && s != ""
}
