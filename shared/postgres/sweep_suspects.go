package postgres

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"regmend/shared/gitlab"

	"github.com/jmoiron/sqlx"
	"github.com/lib/pq"
)

// suspect is a kept project that has candidates, with what is known of them.
// Repositories that have a row by now are in none of the lists but denied.
type suspect struct {
	ProjectID int64  `db:"project_id"`
	FullPath  string `db:"full_path"`
	Listed    int    `db:"listed"`
	// Judged tells whether it has a trustworthy completed result of this run, of
	// scan number Scan, which listed JudgedPath.
	Judged     bool   `db:"judged"`
	Scan       int64  `db:"scan_number"`
	JudgedPath string `db:"judged_path"`
	Method     string `db:"method"`
	// Looked tells whether a scan of this run had a first look, and no result came
	// after it.
	Looked bool `db:"looked"`

	Reported pq.StringArray `db:"reported"` // missing by that result
	Young    pq.StringArray `db:"young"`    // and too young to be counted by it
	Tagged   pq.StringArray `db:"tagged"`   // candidates that have tags
	Denied   pq.StringArray `db:"denied"`   // candidates that have none
	Agreed   pq.StringArray `db:"agreed"`   // not asked for: a scan reported them and the catalog has them
	Open     bool           `db:"open"`     // others were not asked for
}

const (
	candidateNames = `ARRAY(SELECT c.name FROM regmend.sweep_candidates c
             WHERE c.scan_number = $3 AND c.project_id = k.project_id AND `

	// As a scalar subquery it is one look into the index for each candidate, as
	// the lateral ones below are for each suspect: of tables that were filled, or
	// restored, a moment ago there are no statistics, and a join can be made of
	// all their rows for each.
	noRow = `(SELECT r.id FROM public.container_repositories r
             WHERE r.project_id = c.project_id AND r.name = c.name
             LIMIT 1) IS NULL`

	selectSuspects = `
SELECT k.project_id, k.full_path, k.listed,
       coalesce(d.status = 'completed' AND ` + trusted + `, false) AS judged,
       coalesce(d.scan_number, 0) AS scan_number, coalesce(d.full_path, '') AS judged_path, coalesce(d.method, '') AS method,
       ` + looked + ` AS looked,
       ARRAY(SELECT c.name FROM regmend.young_repositories c WHERE c.project_id = k.project_id) AS young,
       ARRAY(SELECT c.name FROM regmend.missing_repositories c WHERE c.project_id = k.project_id AND ` + noRow + `) AS reported,
       ` + candidateNames + `c.tagged AND ` + noRow + `) AS tagged,
       ` + candidateNames + `NOT c.tagged) AS denied,
       ` + candidateNames + `c.tagged IS NULL AND c.in_catalog AND c.reported AND ` + noRow + `) AS agreed,
       coalesce((SELECT true FROM regmend.sweep_candidates c
                 WHERE c.scan_number = $3 AND c.project_id = k.project_id
                   AND c.tagged IS NULL AND c.in_catalog <> c.reported AND ` + noRow + `
                 LIMIT 1), false) AS open
FROM (SELECT DISTINCT c.project_id
      FROM regmend.sweep_candidates c
      WHERE c.scan_number = $3 AND c.project_id >= $4 AND c.project_id <= $5) AS suspected
CROSS JOIN LATERAL (SELECT k.project_id, k.full_path, k.route, k.listed
                    FROM regmend.sweep_projects k
                    WHERE k.scan_number = $3 AND k.project_id = suspected.project_id
                    LIMIT 1) AS k
LEFT JOIN LATERAL (SELECT d.run_id, d.scan_number, d.status, d.full_path, d.method, d.pages, d.listed,
                          d.missing_count, d.error, d.next_attempt_at, d.failure_scan_number
                   FROM regmend.data_repair_details d
                   WHERE d.project_id = suspected.project_id
                   LIMIT 1) AS d ON true
LEFT JOIN LATERAL (SELECT l.run_id, l.scan_number
                   FROM regmend.looks l
                   WHERE l.project_id = suspected.project_id
                   LIMIT 1) AS l ON true
WHERE ` + unchanged + `
ORDER BY k.project_id`
)

// judgeSuspects says what is to be written of those of ids that have candidates:
// results, and first looks at what seems missing.
func judgeSuspects(ctx context.Context, tx *sqlx.Tx, run Run, s *Sweep, ids []int64) ([]verdict, []gitlab.Result, error) {
	var suspects []suspect
	err := tx.SelectContext(ctx, &suspects, selectSuspects, run.ID, run.Scan, s.Scan, ids[0], ids[len(ids)-1])
	looks, others := divide(conclusions(suspects, *s))
	verdicts, _ := combine(run, others)
	looks, _ = newest(run, looks)
	return verdicts, looks, err
}

func conclusions(suspects []suspect, s Sweep) []gitlab.Result {
	var results []gitlab.Result
	for _, p := range suspects {
		status, missing, contradiction := p.conclude(s.Scan)
		if status == "" {
			continue
		}
		results = append(results, gitlab.Result{
			Run: s.Run, Scan: s.Scan, Status: status, Missing: missing,
			Project: gitlab.Project{ID: p.ProjectID, FullPath: p.FullPath},
			Evidence: gitlab.Evidence{
				Method: methodSweep, Pages: s.Pages, Listed: max(p.Listed, len(missing)),
				Contradiction: contradiction,
			},
		})
	}
	return results
}

// conclude says what is missing by a sweep of that scan number, and what of an
// older result it contradicts. What no scan missed is to be looked at again. The
// status is "" where nothing is to be written: because what stands is newer, or
// agrees, or because something is not known.
func (p suspect) conclude(scan int64) (status gitlab.Status, missing []string, contradiction string) {
	switch {
	case p.Open, !p.Judged && len(p.Agreed) > 0:
		return "", nil, ""
	case !p.Judged && len(p.Tagged) > 0:
		return gitlab.Looked, union(p.Tagged), ""
	case !p.Judged && p.Looked:
		return "", nil, "" // its second look will say
	case !p.Judged:
		return gitlab.Completed, nil, ""
	}
	known := slices.Concat(p.Tagged, p.Denied, p.Agreed)
	if p.Scan >= scan || p.JudgedPath != p.FullPath || len(without(p.Reported, known)) > 0 || len(without(p.Agreed, p.Reported)) > 0 {
		return "", nil, ""
	}
	still := without(p.Reported, p.Denied)
	overlooked, gone := without(without(p.Tagged, p.Reported), p.Young), without(p.Reported, still)
	switch {
	case len(overlooked) > 0:
		return gitlab.Looked, union(still, p.Tagged), p.contradiction(overlooked, gone)
	case len(gone) == 0, p.Looked, len(p.Young) > 0:
		return "", nil, "" // it agrees, or comes up again by itself
	default:
		return gitlab.Completed, union(still), p.contradiction(nil, gone)
	}
}

// contradiction is what the older result did not have, and what it had wrongly,
// in words.
func (p suspect) contradiction(overlooked, gone []string) string {
	var said []string
	if len(overlooked) > 0 {
		said = append(said, "the catalog has, with tags, what scan "+fmt.Sprint(p.Scan)+" ("+p.Method+") did not report: "+p.paths(overlooked))
	}
	if len(gone) > 0 {
		said = append(said, "scan "+fmt.Sprint(p.Scan)+" ("+p.Method+") reported what is not in the catalog and has no tags: "+p.paths(gone))
	}
	return legible(strings.Join(said, "; "))
}

func (p suspect) paths(names []string) string {
	project := gitlab.Project{ID: p.ProjectID, FullPath: p.FullPath}
	var paths []string
	for _, name := range union(names) {
		paths = append(paths, project.RepositoryPath(name))
	}
	return strings.Join(paths, ", ")
}

// without is all of names but those in others, in their order.
func without(names, others []string) []string {
	drop := make(map[string]bool, len(others))
	for _, name := range others {
		drop[name] = true
	}
	return slices.DeleteFunc(slices.Clone(names), func(name string) bool { return drop[name] })
}

// union is every name of the lists, sorted and once.
func union(lists ...[]string) []string {
	all := slices.Concat(lists...)
	slices.Sort(all)
	return slices.Compact(all)
}
