package gitlabtest

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/jmoiron/sqlx"
)

// Outcome is what is to be known of a project after its analysis.
type Outcome struct {
	Run      int64
	Status   string // completed, or failed without a route
	FullPath string
	Listed   int      // repositories of its own that have tags
	Missing  []string // their names, sorted, if GitLab has no row
}

// Outcomes tells what has to come out for every eligible project, by its ID:
// from the sorted paths of all repositories that have tags in the registry, and
// from GitLab's rows as they are now.
func Outcomes(ctx context.Context, db *sqlx.DB, tagged []string, run int64) (map[int64]Outcome, error) {
	projects, err := Eligible(ctx, db)
	if err != nil {
		return nil, err
	}
	rows, err := Rows(ctx, db)
	if err != nil {
		return nil, err
	}
	outcomes := make(map[int64]Outcome, len(projects))
	for id, fullPath := range projects {
		outcomes[id] = outcome(tagged, rows[id], fullPath, run)
	}
	return outcomes, nil
}

func outcome(tagged []string, rows map[string]bool, fullPath string, run int64) Outcome {
	if fullPath == "" {
		return Outcome{Run: run, Status: "failed", Missing: []string{}}
	}
	own := NamesBelow(tagged, strings.ToLower(fullPath))
	missing := slices.DeleteFunc(slices.Clone(own), func(name string) bool { return rows[name] })
	return Outcome{Run: run, Status: "completed", FullPath: fullPath, Listed: len(own), Missing: missing}
}

// NamesBelow are the names, sorted, of the sorted paths that are the given one
// or below it; "" is the given one's.
func NamesBelow(sorted []string, path string) []string {
	names := []string{}
	if _, found := slices.BinarySearch(sorted, path); found {
		names = append(names, "")
	}
	for i, _ := slices.BinarySearch(sorted, path+"/"); i < len(sorted); i++ {
		name, below := strings.CutPrefix(sorted[i], path+"/")
		if !below {
			break
		}
		names = append(names, name)
	}
	return names
}

const selectEligible = `
SELECT p.id, coalesce(r.path, '') AS path
FROM public.projects p LEFT JOIN public.routes r ON r.source_id = p.id AND r.source_type = 'Project'
WHERE coalesce(p.pending_delete, false) = false`

// Eligible are the full paths of the projects that count, "" without a route.
func Eligible(ctx context.Context, db *sqlx.DB) (map[int64]string, error) {
	var projects []struct {
		ID   int64
		Path string
	}
	if err := db.SelectContext(ctx, &projects, selectEligible); err != nil {
		return nil, fmt.Errorf("select eligible projects: %w", err)
	}
	paths := make(map[int64]string, len(projects))
	for _, p := range projects {
		paths[p.ID] = p.Path
	}
	return paths, nil
}

const selectRows = `SELECT project_id AS id, name FROM public.container_repositories`

// Rows are the names of the container repositories GitLab knows, by project.
func Rows(ctx context.Context, db *sqlx.DB) (map[int64]map[string]bool, error) {
	var all []struct {
		ID   int64
		Name string
	}
	if err := db.SelectContext(ctx, &all, selectRows); err != nil {
		return nil, fmt.Errorf("select container repositories: %w", err)
	}
	rows := map[int64]map[string]bool{}
	for _, row := range all {
		if rows[row.ID] == nil {
			rows[row.ID] = map[string]bool{}
		}
		rows[row.ID][row.Name] = true
	}
	return rows, nil
}
