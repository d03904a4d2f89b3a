package main_test

import (
	"database/sql"
	"fmt"
	"math/rand/v2"
	"path"
	"strings"

	"github.com/lib/pq"
)

// content is what a GitLab holds, made up.
type content struct {
	groups   []string // parents first
	projects []project
}

type project struct {
	id            int64
	fullPath      string
	pendingDelete bool
	routeless     bool
	repositories  []repository
}

// repository is one that the registry, the database, or both know.
type repository struct {
	name   string
	pushed bool
	tagged bool
	row    bool
	status sql.NullInt16 // of the row: deletion
}

// shapes of project names; those of one number are prefixes of each other, or
// differ in what a registry may take for a wildcard. The registry's listing is
// bounded wrongly for some in some collations, and two can have no repository.
var shapes = []string{
	"app%d", "App%d-x", "app%d.y", "app%d_z", "app%d9", "app%da", "app%d-z", "app%d-app/",
	"tool_%d", "tool-%d", "svc-a%d", "MixedCase%d", "%d", "zz%d.z", "_hidden%d", "lib%d--x", "q%d__r", "end%d-",
}

// names of repositories.
var names = []string{"", "web", "a/b/c", "deep/er/than/two/levels", "x-9", "x_y", "x.z", "cache9", "z", "aa"}

// generator makes content up, the same for the same seed.
type generator struct {
	*rand.Rand
	content
	seen  map[string]bool // lower-case full paths
	count map[string]int  // of projects, by group
}

// generate makes up so many projects. One in ten has repositories, five have
// more than fit in two pages of a hundred.
func generate(seed uint64, projects int) content {
	g := &generator{Rand: rand.New(rand.NewPCG(seed, seed)), seen: map[string]bool{}, count: map[string]int{}}
	ordinary := max(projects/100, 5)
	for i := range projects {
		g.project(g.group(i, ordinary))
		p := &g.projects[i]
		switch {
		case !canHold(p.fullPath):
		case i%(projects/5) == 7:
			g.many(p)
		case g.IntN(10) == 0:
			g.some(p)
		}
		p.pendingDelete = g.IntN(100) == 0
		p.routeless = i%(projects/3) == 11
	}
	return g.content
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
			g.groups = append(g.groups, parent)
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
	g.projects = append(g.projects, project{id: int64(10 + 3*len(g.projects)), fullPath: full})
}

// some gives the project a few repositories.
func (g *generator) some(p *project) {
	for _, i := range g.Perm(len(names))[:1+g.IntN(7)] {
		p.repositories = append(p.repositories, g.repository(names[i]))
	}
}

// many gives the project more repositories than two pages of a hundred hold.
func (g *generator) many(p *project) {
	for i := range 200 + g.IntN(60) {
		p.repositories = append(p.repositories, g.repository(fmt.Sprintf("image%d/v_%d", i%7, i)))
	}
}

// repository is known to both, lost, a ghost, being deleted, or emptied.
func (g *generator) repository(name string) repository {
	r := repository{name: name, pushed: true, tagged: true, row: true}
	switch n := g.IntN(100); {
	case n < 25:
		r.row = false
	case n < 33:
		r.pushed, r.tagged = false, false
	case n < 40:
		r.status = sql.NullInt16{Int16: int16(n % 3), Valid: true}
	case n < 45:
		r.tagged, r.row = false, n%2 == 0
	}
	return r
}

// canHold tells whether a registry can have repositories under the path. There
// are such projects, but nothing was ever pushed to them.
func canHold(fullPath string) bool {
	return !strings.Contains(fullPath, "/_") && !strings.HasSuffix(fullPath, "-")
}

// fill puts the content into database and registry, and into the registry some
// repositories that are no project's.
func (in *installation) fill(c content) {
	in.t.Helper()
	in.insertGroups(c.groups)
	in.insertProjects(c)
	in.insertRepositories(c.projects)
	for _, p := range c.projects {
		for _, r := range p.repositories {
			in.push(p.fullPath, r)
		}
	}
	for _, stray := range []string{"nobody/app", "grp0/app-of-nobody/web", "grp0", "ops9"} {
		in.registry.Push(stray, "v1")
	}
}

func (in *installation) push(fullPath string, r repository) {
	at := strings.ToLower(fullPath)
	if r.name != "" {
		at += "/" + r.name
	}
	switch {
	case !r.pushed:
	case r.tagged:
		in.registry.Push(at, "v1", "v2")
	default:
		in.registry.Push(at)
	}
}

const insertGroups = `
WITH given AS (
    SELECT * FROM unnest($1::bigint[], $2::text[], $3::text[], $4::bigint[]) AS given (id, full_path, name, parent)
), namespace AS (
    INSERT INTO public.namespaces (id, name, path, type, parent_id, created_at, updated_at)
    SELECT id, name, name, 'Group', nullif(parent, 0), now() AT TIME ZONE 'utc', now() AT TIME ZONE 'utc' FROM given
)
INSERT INTO public.routes (source_id, source_type, path, name, created_at, updated_at)
SELECT id, 'Namespace', full_path, name, now() AT TIME ZONE 'utc', now() AT TIME ZONE 'utc' FROM given`

func (in *installation) insertGroups(groups []string) {
	in.t.Helper()
	ids := map[string]int64{}
	var id, parent []int64
	var name []string
	for i, full := range groups {
		ids[full] = int64(i + 1)
		id = append(id, ids[full])
		name = append(name, path.Base(full))
		parent = append(parent, ids[path.Dir(full)])
	}
	in.Exec(in.t, insertGroups, pq.Array(id), pq.Array(groups), pq.Array(name), pq.Array(parent))
}

const insertProjects = `
WITH given AS (
    SELECT * FROM unnest($1::bigint[], $2::text[], $3::text[], $4::bool[], $5::bool[])
        AS given (id, full_path, name, pending_delete, routeless)
), project AS (
    INSERT INTO public.projects (id, name, path, namespace_id, pending_delete, created_at, updated_at)
    SELECT given.id, given.name, given.name, r.source_id, nullif(pending_delete, false),
           now() AT TIME ZONE 'utc', now() AT TIME ZONE 'utc'
    FROM given JOIN public.routes r ON r.path = left(full_path, -length(given.name) - 1)
), feature AS (
    INSERT INTO public.project_features (project_id, pages_access_level, container_registry_access_level)
    SELECT id, 20, id % 3 * 10 FROM given
)
INSERT INTO public.routes (source_id, source_type, path, name, created_at, updated_at)
SELECT id, 'Project', full_path, name, now() AT TIME ZONE 'utc', now() AT TIME ZONE 'utc'
FROM given WHERE NOT routeless`

func (in *installation) insertProjects(c content) {
	in.t.Helper()
	var id []int64
	var full, name []string
	var pendingDelete, routeless []bool
	for _, p := range c.projects {
		id = append(id, p.id)
		full = append(full, p.fullPath)
		name = append(name, path.Base(p.fullPath))
		pendingDelete = append(pendingDelete, p.pendingDelete)
		routeless = append(routeless, p.routeless)
	}
	in.Exec(in.t, insertProjects, pq.Array(id), pq.Array(full), pq.Array(name), pq.Array(pendingDelete), pq.Array(routeless))
	in.Exec(in.t, `SELECT setval('public.projects_id_seq', (SELECT max(id) FROM public.projects)),
		setval('public.namespaces_id_seq', (SELECT max(id) FROM public.namespaces))`)
}

const insertRepositories = `
INSERT INTO public.container_repositories (project_id, name, status, created_at, updated_at)
SELECT project_id, name, nullif(status, -1), now() AT TIME ZONE 'utc', now() AT TIME ZONE 'utc'
FROM unnest($1::bigint[], $2::text[], $3::int[]) AS given (project_id, name, status)`

func (in *installation) insertRepositories(projects []project) {
	in.t.Helper()
	var id, status []int64
	var name []string
	for _, p := range projects {
		for _, r := range p.repositories {
			if !r.row {
				continue
			}
			id, name = append(id, p.id), append(name, r.name)
			if r.status.Valid {
				status = append(status, int64(r.status.Int16))
			} else {
				status = append(status, -1)
			}
		}
	}
	in.Exec(in.t, insertRepositories, pq.Array(id), pq.Array(name), pq.Array(status))
}
