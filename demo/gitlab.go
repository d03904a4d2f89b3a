package main

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"path"
	"slices"
	"strings"

	"regmend/shared/gitlab"
)

// gitLab is an installation that was made up: groups in groups, projects, and
// the container repositories some of them have.
type gitLab struct {
	groups   []group
	projects []project
}

type group struct {
	id       int64
	parent   int64 // 0 for a topmost one
	fullPath string
}

type project struct {
	gitlab.Project
	group        int64
	namespace    int64 // its own, in the group's
	repositories []repository
}

// repository has a row in GitLab's tables.
type repository struct {
	name   string // relative to the project, "" is the root
	pushed bool   // and the registry has an image of it
}

var (
	companies = []string{"acme", "Globex", "initech", "Umbrella-Labs", "stark.industries", "hooli", "Wonka_Foods", "cyberdyne"}
	teams     = []string{"platform", "Payments", "data-science", "mobile", "web", "Infra_Ops", "search", "identity"}
	subjects  = []string{"billing", "Checkout", "gateway", "reports", "Auth", "catalog", "mailer", "ledger", "images", "Search"}
	kinds     = []string{"api", "worker", "UI", "service", "proxy", "jobs", "cli", "docs"}
	names     = []string{"", "app", "cache", "base/alpine", "base/debian", "ci/build/tools", "nginx", "migrations", "app-debug"}
)

// newGitLab makes the same installation of the same number and seed.
func newGitLab(projects int, seed uint64) *gitLab {
	random := rand.New(rand.NewPCG(seed, uint64(projects)))
	g := &gitLab{groups: newGroups(random)}
	taken := map[string]bool{}
	for _, group := range g.groups {
		taken[strings.ToLower(group.fullPath)] = true
	}
	for len(g.projects) < projects {
		group := pick(random, g.groups)
		fullPath := path.Join(group.fullPath, pick(random, subjects)+"-"+pick(random, kinds))
		// GitLab takes paths that differ in case only for the same.
		for taken[strings.ToLower(fullPath)] {
			fullPath += fmt.Sprintf("-%d", random.IntN(100))
		}
		taken[strings.ToLower(fullPath)] = true
		id := int64(len(g.projects) + 1)
		g.projects = append(g.projects, project{
			Project:      gitlab.Project{ID: id, FullPath: fullPath},
			namespace:    int64(len(g.groups)) + id,
			group:        group.id,
			repositories: newRepositories(random),
		})
	}
	return g
}

// newGroups makes three levels of groups, parents before their children.
func newGroups(random *rand.Rand) []group {
	var groups []group
	add := func(in group, name string) group {
		g := group{id: int64(len(groups) + 1), parent: in.id, fullPath: path.Join(in.fullPath, name)}
		groups = append(groups, g)
		return g
	}
	for _, company := range companies {
		top := add(group{}, company)
		for _, team := range teams {
			if random.IntN(2) == 0 {
				continue
			}
			middle := add(top, team)
			if random.IntN(3) == 0 {
				add(middle, "Team-"+pick(random, subjects))
			}
		}
	}
	return groups
}

// newRepositories gives one project in eight one to four repositories; every
// tenth of them was never pushed to, which is normal.
func newRepositories(random *rand.Rand) []repository {
	if random.IntN(8) != 0 {
		return nil
	}
	var repositories []repository
	for _, i := range random.Perm(len(names))[:1+random.IntN(4)] {
		repositories = append(repositories, repository{name: names[i], pushed: random.IntN(10) != 0})
	}
	return repositories
}

// imagePaths are the registry's paths of all repositories that have an image.
func (g *gitLab) imagePaths() []string {
	var paths []string
	for _, p := range g.projects {
		for _, r := range p.repositories {
			if r.pushed {
				paths = append(paths, p.RepositoryPath(r.name))
			}
		}
	}
	return paths
}

// lostShare is small enough for regmend to believe that it looks at the right
// registry: it wants to find half of the rows there.
const lostShare = 0.12

// chooseLost returns names of repositories with images by project: those whose
// rows get lost.
func (g *gitLab) chooseLost(seed uint64) map[int64][]string {
	random := rand.New(rand.NewPCG(seed, 0))
	lost := map[int64][]string{}
	for _, p := range g.projects {
		for _, r := range p.repositories {
			if r.pushed && random.Float64() < lostShare {
				lost[p.ID] = append(lost[p.ID], r.name)
			}
		}
		slices.Sort(lost[p.ID])
	}
	maps.DeleteFunc(lost, func(_ int64, names []string) bool { return len(names) == 0 })
	return lost
}

func pick[T any](random *rand.Rand, from []T) T {
	return from[random.IntN(len(from))]
}

func count(byProject map[int64][]string) int {
	n := 0
	for _, names := range byProject {
		n += len(names)
	}
	return n
}
