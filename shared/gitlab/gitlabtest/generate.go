package gitlabtest

import (
	"database/sql"
	"fmt"
	"math/rand/v2"
	"strings"
)

// shapes of project names; those of one number are prefixes of each other, or
// differ in what a registry may take for a wildcard. The registry's listing is
// bounded wrongly for some in some collations, and two can have no repository.
var shapes = []string{
	"app%d", "App%d-x", "app%d.y", "app%d_z", "app%d9", "app%da", "app%d-z", "app%d-app/",
	"tool_%d", "tool-%d", "svc-a%d", "MixedCase%d", "%d", "zz%d.z", "_hidden%d", "lib%d--x", "q%d__r", "end%d-",
}

// names of repositories.
var names = []string{"", "web", "a/b/c", "deep/er/than/two/levels", "x-9", "x_y", "x.z", "cache9", "z", "aa"}

// generator makes a world up.
type generator struct {
	*rand.Rand
	World
	seen  map[string]bool // lower-case full paths
	count map[string]int  // of projects, by group
}

// Generate makes up so many projects, at least five, the same for the same
// seed. One in ten has repositories, five have more than fit in two pages of a
// hundred.
func Generate(seed uint64, projects int) World {
	g := &generator{Rand: rand.New(rand.NewPCG(seed, seed)), seen: map[string]bool{}, count: map[string]int{}}
	ordinary := max(projects/100, 5)
	for i := range projects {
		g.project(g.group(i, ordinary))
		p := &g.Projects[i]
		switch {
		case !CanHold(p.FullPath):
		case i%(projects/5) == 7:
			g.many(p)
		case g.IntN(10) == 0:
			g.some(p)
		}
		p.PendingDelete = g.IntN(100) == 0
		p.Routeless = i%(projects/3) == 11
	}
	return g.World
}

// group is where the i-th project goes: to one of many groups, in turn, or to
// one of a few whose own listing cannot be believed either.
func (g *generator) group(i, ordinary int) string {
	kinds := []string{"grp%d", "Grp%d/Sub", "grp%d/sub-x/deep.er", "Team_%d/in/n/er"}
	special := []string{"ops9", "aaa", "ZZ", "0a"}
	full := fmt.Sprintf(kinds[i%ordinary%len(kinds)], i%ordinary)
	if g.IntN(500) == 0 {
		full = special[g.IntN(len(special))]
	}
	for i, c := range full + "/" {
		if parent := full[:i]; c == '/' && !g.seen[strings.ToLower(parent)] {
			g.seen[strings.ToLower(parent)] = true
			g.Groups = append(g.Groups, parent)
		}
	}
	return full
}

func (g *generator) project(group string) {
	full := ""
	for full == "" || g.seen[strings.ToLower(full)] {
		n := g.count[group]
		g.count[group]++
		name := strings.TrimSuffix(fmt.Sprintf(shapes[n%len(shapes)], n/len(shapes)), "/")
		full = group + "/" + name
	}
	g.seen[strings.ToLower(full)] = true
	g.Projects = append(g.Projects, Project{ID: int64(10 + 3*len(g.Projects)), FullPath: full})
}

// some gives the project a few repositories.
func (g *generator) some(p *Project) {
	for _, i := range g.Perm(len(names))[:1+g.IntN(7)] {
		p.Repositories = append(p.Repositories, g.repository(names[i]))
	}
}

// many gives the project more repositories than two pages of a hundred hold.
func (g *generator) many(p *Project) {
	for i := range 200 + g.IntN(60) {
		p.Repositories = append(p.Repositories, g.repository(fmt.Sprintf("image%d/v_%d", i%7, i)))
	}
}

// repository is known to both, lost, a ghost, being deleted, or emptied.
func (g *generator) repository(name string) Repository {
	r := Repository{Name: name, Pushed: true, Tagged: true, Row: true}
	switch n := g.IntN(100); {
	case n < 25:
		r.Row = false
	case n < 33:
		r.Pushed, r.Tagged = false, false
	case n < 40:
		r.Status = sql.NullInt16{Int16: int16(n % 3), Valid: true}
	case n < 45:
		r.Tagged, r.Row = false, n%2 == 0
	}
	return r
}
