// Package gitlab is the domain: projects, their container repositories, and
// what a scan says of them. It knows no database, no queue and no network.
package gitlab

import (
	"errors"
	"strings"
	"time"
)

// ErrNotFound says that what was asked for does not exist.
var ErrNotFound = errors.New("not found")

// Project is a row of GitLab's projects, with its full path from routes.
type Project struct {
	ID int64 `json:"id"`
	// FullPath is group/sub/app in the case GitLab keeps it in, or "" for a
	// project that has no route.
	FullPath string `json:"full_path,omitempty"`
}

// RegistryPath is the path under which the registry keeps the project's root
// repository: the full path in lower case.
func (p Project) RegistryPath() string { return strings.ToLower(p.FullPath) }

// Owns tells whether the registry path belongs to the project and, if so, its
// name as container_repositories has it: relative to the project's path, ""
// for the root repository. A project that has no path owns nothing.
func (p Project) Owns(path string) (name string, ok bool) {
	own := p.RegistryPath()
	if own == "" {
		return "", false
	}
	if path == own {
		return "", true
	}
	name, ok = strings.CutPrefix(path, own+"/")
	return name, ok && name != ""
}

// RepositoryPath is where the registry keeps the repository of that name.
func (p Project) RepositoryPath(name string) string {
	if name == "" {
		return p.RegistryPath()
	}
	return p.RegistryPath() + "/" + name
}

// Repository is one that a registry lists for a project.
type Repository struct {
	Name      string    // relative to the project's path, "" for its root
	CreatedAt time.Time // zero where the registry does not tell
}

// maxPathLength is the registry's and GitLab's limit for a repository's path,
// in bytes.
const maxPathLength = 255

// ValidRepositoryPath tells whether a registry can hold a repository of that
// path, by the rule GitLab has for it.
func ValidRepositoryPath(path string) bool {
	if path == "" || len(path) > maxPathLength {
		return false
	}
	for i := 0; i < len(path); i++ {
		if isAlphanumeric(path[i]) {
			continue
		}
		n := separator(path[i:])
		if i += n; n == 0 || i == n || i == len(path) || !isAlphanumeric(path[i]) {
			return false
		}
	}
	return true
}

func isAlphanumeric(c byte) bool { return 'a' <= c && c <= 'z' || '0' <= c && c <= '9' }

// separator is the length of what may stand between two alphanumeric characters
// of a path and begins this text, 0 if nothing does.
func separator(text string) int {
	switch {
	case strings.HasPrefix(text, "__"):
		return 2
	case text[0] == '.' || text[0] == '_' || text[0] == '/':
		return 1
	default:
		return len(text) - len(strings.TrimLeft(text, "-"))
	}
}

// PathEnds yields where the prefixes of a path end that are whole components of
// it, the path itself last.
func PathEnds(path string) func(yield func(end int) bool) {
	return func(yield func(int) bool) {
		for i := range len(path) {
			if path[i] == '/' && !yield(i) {
				return
			}
		}
		yield(len(path))
	}
}
