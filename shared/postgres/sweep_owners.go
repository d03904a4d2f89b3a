package postgres

import (
	"slices"

	"regmend/shared/gitlab"
)

// longestPath is how long a repository's path can be in a registry, in bytes.
const longestPath = 255

// sound is what of paths a registry can really hold, each once.
func sound(paths []string) []string {
	seen := make(map[string]bool, len(paths))
	kept := make([]string, 0, len(paths))
	for _, path := range paths {
		if path != "" && len(path) <= longestPath && storable(path) && !seen[path] {
			seen[path] = true
			kept = append(kept, path)
		}
	}
	return kept
}

// prefixes are those of all paths that are whole components, each once, sorted.
func prefixes(paths []string) []string {
	var all []string
	for _, path := range paths {
		for end := range gitlab.PathEnds(path) {
			all = append(all, path[:end])
		}
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// assign says whose each path is: of every project in owners that has it or a
// prefix of it for its path, under the name that it has there. Paths of nobody
// are unowned.
func assign(paths []string, owners map[string][]int64) (owned []Listed, unowned []string) {
	for _, path := range paths {
		before := len(owned)
		for end := range gitlab.PathEnds(path) {
			name := path[min(end+1, len(path)):]
			if end < len(path) && name == "" {
				continue // a path that ends with a slash is not its parent's root
			}
			for _, id := range owners[path[:end]] {
				owned = append(owned, Listed{ProjectID: id, Name: name})
			}
		}
		if len(owned) == before {
			unowned = append(unowned, path)
		}
	}
	return owned, unowned
}
