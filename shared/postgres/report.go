package postgres

import (
	"context"
	"database/sql"
	"iter"
	"time"

	"regmend/shared/gitlab"

	"github.com/lib/pq"
)

// ReportFilter says which results a report has. Both zero: all of them.
type ReportFilter struct {
	Missing   bool   // only projects with missing repositories
	Failed    bool   // only failed projects
	Namespace string // only the project or group of that full path, and what is below it
}

// ReportRow is one project's result.
type ReportRow struct {
	Project gitlab.Project // its full path is the present one
	Status  gitlab.Status
	// Missing are the names of the missing repositories, sorted.
	Missing []string
	// Young are those that are missing but too young to be counted, sorted.
	Young     []string
	UpdatedAt time.Time
	// Failure is of the scans since the last completed one; zero if the last
	// one completed.
	Failure Failure
}

// Failure is why the last scan of a project failed, and what follows.
type Failure struct {
	Error         string
	Attempts      int // since the last completed scan
	NextAttemptAt time.Time
}

// MissingPaths are the registry paths of the missing repositories.
func (r ReportRow) MissingPaths() []string {
	paths := make([]string, len(r.Missing))
	for i, name := range r.Missing {
		paths[i] = r.Project.RepositoryPath(name)
	}
	return paths
}

const (
	reportPage = 1000 // results looked through at once
	// reportNames is about how many missing repositories are held in memory;
	// a single project's are always read together.
	reportNames = 20000
)

// A parameter switches each filter on; the planner knows their values, so the
// partial indexes serve.
const selectReportKeys = `
SELECT d.project_id, d.missing_count
FROM regmend.data_repair_details d
WHERE d.project_id > $3 AND (NOT $5 OR d.missing_count > 0) AND (NOT $6 OR d.status = 'failed') AND ` + trusted + `
ORDER BY d.project_id
LIMIT $4`

// Rows and their missing repositories come of one statement, so that they fit
// together also while they are being replaced.
const selectReportRows = `
SELECT d.project_id, coalesce(r.path, '') AS full_path, d.status, d.updated_at,
       coalesce(d.error, '') AS error, d.attempts, d.next_attempt_at,
       ARRAY(SELECT m.name FROM regmend.missing_repositories m
             WHERE m.project_id = d.project_id ORDER BY m.name COLLATE "C") AS missing,
       ARRAY(SELECT y.name FROM regmend.young_repositories y
             WHERE y.project_id = d.project_id ORDER BY y.name COLLATE "C") AS young
FROM regmend.data_repair_details d
JOIN public.projects p ON p.id = d.project_id AND p.pending_delete IS NOT TRUE
` + routed + `
WHERE d.project_id = ANY ($3) AND (NOT $4 OR d.missing_count > 0) AND (NOT $5 OR d.status = 'failed') AND ` + trusted + `
  AND (cardinality($6::text[]) = 0 OR ` + inScope + `)
ORDER BY d.project_id`

type reportKey struct {
	ID      int64 `db:"project_id"`
	Missing int   `db:"missing_count"`
}

type reportRow struct {
	ProjectID     int64          `db:"project_id"`
	FullPath      string         `db:"full_path"`
	Status        string         `db:"status"`
	UpdatedAt     sql.NullTime   `db:"updated_at"`
	Error         string         `db:"error"`
	Attempts      int            `db:"attempts"`
	NextAttemptAt sql.NullTime   `db:"next_attempt_at"`
	Missing       pq.StringArray `db:"missing"`
	Young         pq.StringArray `db:"young"`
}

func (r reportRow) row() ReportRow {
	return ReportRow{
		Project:   gitlab.Project{ID: r.ProjectID, FullPath: r.FullPath},
		Status:    gitlab.Status(r.Status),
		Missing:   r.Missing,
		Young:     r.Young,
		UpdatedAt: utc(r.UpdatedAt),
		Failure: Failure{
			Error:         r.Error,
			Attempts:      r.Attempts,
			NextAttemptAt: utc(r.NextAttemptAt),
		},
	}
}

// utc is the time, zero where it is NULL.
func utc(t sql.NullTime) time.Time {
	if !t.Valid {
		return time.Time{}
	}
	return t.Time.UTC()
}

// Report calls visit with the result of every eligible project that has a
// trustworthy one of run and passes the filter, in the order of IDs. It holds
// a bounded number of rows in memory and no transaction while visit works. It
// ends with visit's first error.
func (db *DB) Report(ctx context.Context, run Run, filter ReportFilter, visit func(ReportRow) error) error {
	for from := int64(0); ; {
		var keys []reportKey
		err := db.sql.SelectContext(ctx, &keys, selectReportKeys, run.ID, run.Scan, from, reportPage, filter.Missing, filter.Failed)
		if err != nil {
			return db.fault(ctx, "read the results", err)
		}
		if len(keys) == 0 {
			return nil
		}
		for group := range groups(keys) {
			if err := db.reportGroup(ctx, run, filter, group, visit); err != nil {
				return err
			}
		}
		from = keys[len(keys)-1].ID
	}
}

// groups cuts keys where the missing repositories become too many to be read
// at once.
func groups(keys []reportKey) iter.Seq[[]int64] {
	return func(yield func([]int64) bool) {
		var ids []int64
		names := 0
		for _, key := range keys {
			if len(ids) > 0 && names+key.Missing > reportNames {
				if !yield(ids) {
					return
				}
				ids, names = nil, 0
			}
			ids, names = append(ids, key.ID), names+key.Missing
		}
		yield(ids)
	}
}

func (db *DB) reportGroup(ctx context.Context, run Run, filter ReportFilter, ids []int64, visit func(ReportRow) error) error {
	scope := []string{}
	if filter.Namespace != "" {
		scope = append(scope, filter.Namespace)
	}
	var rows []reportRow
	err := db.sql.SelectContext(ctx, &rows, selectReportRows,
		run.ID, run.Scan, pq.Array(ids), filter.Missing, filter.Failed, pq.Array(scope))
	if err != nil {
		return db.fault(ctx, "read the results", err)
	}
	for _, row := range rows {
		if err := visit(row.row()); err != nil {
			return err
		}
	}
	return nil
}
