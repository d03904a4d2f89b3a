// Package gitlab is the domain: projects, their container repositories, and
// what a scan says of them. It knows no database, no queue and no network.
package gitlab

import (
	"errors"
	"regexp"
	"strings"
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

// maxPathLength is the registry's and GitLab's limit for a repository's path,
// in bytes.
const maxPathLength = 255

var repositoryPath = regexp.MustCompile(`\A[a-z0-9]+(([._/]|__|-*)[a-z0-9])*\z`)

// ValidRepositoryPath tells whether a registry can hold a repository of that
// path, by the rule GitLab has for it.
func ValidRepositoryPath(path string) bool {
	return len(path) <= maxPathLength && repositoryPath.MatchString(path)
}
