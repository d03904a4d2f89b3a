package registry

import "strings"

// The routes, around a repository's path.
const (
	routeGitLab  = "/gitlab/v1/"
	routeList    = "/gitlab/v1/repository-paths/"
	routeListEnd = "/repositories/list/"
	routeDetails = "/gitlab/v1/repositories/"
	routeV2      = "/v2/"
	routeCatalog = "/v2/_catalog"
	routeTagsEnd = "/tags/list"
)

func listRoute(path string) string    { return routeList + path + routeListEnd }
func detailsRoute(path string) string { return routeDetails + path + "/" }
func tagsRoute(path string) string    { return routeV2 + path + routeTagsEnd }

// access is a right as tokens carry it.
type access struct {
	Type    string   `json:"type"`
	Name    string   `json:"name"`
	Actions []string `json:"actions"`
}

func pull(name string) access {
	return access{Type: "repository", Name: name, Actions: []string{"pull"}}
}

// pullBelow is what the list API wants: the literal names P and P/*.
func pullBelow(path string) []access { return []access{pull(path), pull(path + "/*")} }

// accessOf tells which rights a route needs. They are never taken from a
// challenge: whoever answers would choose what we ask for.
func accessOf(route string) []access {
	if p, ok := between(route, routeList, routeListEnd); ok {
		return pullBelow(p)
	}
	if p, ok := between(route, routeDetails, "/"); ok {
		return pullBelow(p)
	}
	if route == routeCatalog {
		return []access{{Type: "registry", Name: "catalog", Actions: []string{"*"}}}
	}
	if p, ok := between(route, routeV2, routeTagsEnd); ok {
		return []access{pull(p)}
	}
	return nil
}

func between(s, before, after string) (string, bool) {
	s, opens := strings.CutPrefix(s, before)
	s, closes := strings.CutSuffix(s, after)
	return s, opens && closes
}

// scopesFor writes rights as a token server is asked for them.
func scopesFor(rights []access) []string {
	scopes := make([]string, 0, len(rights))
	for _, a := range rights {
		scopes = append(scopes, a.Type+":"+a.Name+":"+strings.Join(a.Actions, ","))
	}
	return scopes
}
