package registrytest

import "strings"

// list is the query of the list API, with what is wrong in it: the path and what
// is below it, "_" being any character, between two neighbouring strings, in the
// order of the collation.
//
//	(path = P OR path LIKE P/%) AND path > (last or before(P)) AND path < next(P)
//
// known is false if nothing was ever pushed in the top-level namespace.
func (r *Registry) list(path, last string, n int) (repos []*repository, known bool) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	top, _, _ := strings.Cut(path, "/")
	namespace := r.namespaces[top]
	if namespace == nil {
		return nil, false
	}
	if last == "" {
		last = before(path)
	}
	bound := next(path)
	boundKey := r.opts.Collation.key(bound)
	for _, repo := range namespace.after(r.opts.Collation, last) {
		if len(repos) == n || compare(repo.sortKey, repo.path, boundKey, bound) >= 0 {
			break
		}
		if len(repo.tags) > 0 && below(repo.path, path) {
			repos = append(repos, repo)
		}
	}
	return repos, true
}

// before and next are the strings that GitLab's registry takes for neighbours
// of the path.
func before(path string) string {
	i := len(strings.TrimRight(path, "a")) - 1
	if i < 0 {
		return strings.TrimSuffix(path, "a") + "z"
	}
	return path[:i] + string(path[i]-1) + path[i+1:]
}

func next(path string) string {
	i := len(strings.TrimRight(path, "z")) - 1
	if i < 0 {
		return path + "a"
	}
	return path[:i] + string(path[i]+1) + path[i+1:]
}

// below is: candidate = path OR candidate LIKE path/%, in which "_" is any
// character.
func below(candidate, path string) bool {
	if candidate == path {
		return true
	}
	if len(candidate) <= len(path) || candidate[len(path)] != '/' {
		return false
	}
	for i := range len(path) {
		if path[i] != '_' && path[i] != candidate[i] {
			return false
		}
	}
	return true
}

// catalog gives the repositories behind last, in the order of the collation.
func (r *Registry) catalog(last string) []*repository {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return r.all.after(r.opts.Collation, last)
}

// size adds up what is tagged at and below the path. repo is nil if there is
// none of that very path.
func (r *Registry) size(path string) (bytes int64, repo *repository, known bool) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	top, _, _ := strings.Cut(path, "/")
	namespace := r.namespaces[top]
	if namespace == nil {
		return 0, nil, false
	}
	for _, candidate := range namespace.inOrder() {
		if len(candidate.tags) > 0 && below(candidate.path, path) {
			bytes += candidate.size
		}
	}
	return bytes, r.known[path], true
}
