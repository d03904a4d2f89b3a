// Package gitlabtest makes up what a GitLab holds, puts it into a database and
// a registry, and tells what has to come out of an analysis of it. Nothing of
// regmend's is used for that. It needs no test to run in.
package gitlabtest

import (
	"database/sql"
	"strings"
)

// World is what a GitLab holds, made up.
type World struct {
	Groups   []string // full paths, parents first
	Projects []Project
}

// Project is one with the repositories that anybody knows of it.
type Project struct {
	ID            int64
	FullPath      string
	PendingDelete bool
	Routeless     bool
	Repositories  []Repository
}

// Repository is one that the registry, the database, or both know.
type Repository struct {
	Name   string // "" is the project's own
	Pushed bool   // the registry knows it
	Tagged bool   // it has tags there
	Row    bool   // GitLab knows it
	Status sql.NullInt16
}

// strays are repositories in the registry that are no project's.
var strays = []string{"nobody/app", "grp0/app-of-nobody/web", "grp0", "ops9"}

// Push gives the registry what it holds of the world, and some repositories
// that are no project's. Without a tag, a repository is known but empty.
func (w World) Push(push func(path string, tags ...string)) {
	for _, p := range w.Projects {
		for _, r := range p.Repositories {
			switch {
			case !r.Pushed:
			case r.Tagged:
				push(r.Path(p.FullPath), "v1", "v2")
			default:
				push(r.Path(p.FullPath))
			}
		}
	}
	for _, stray := range strays {
		push(stray, "v1")
	}
}

// Path is where the registry has the repository of the project with that full
// path.
func (r Repository) Path(fullPath string) string {
	at := strings.ToLower(fullPath)
	if r.Name == "" {
		return at
	}
	return at + "/" + r.Name
}

// CanHold tells whether a registry can have repositories under the path. There
// are projects with others, but nothing was ever pushed to them.
func CanHold(fullPath string) bool {
	return !strings.Contains(fullPath, "/_") && !strings.HasSuffix(fullPath, "-")
}
