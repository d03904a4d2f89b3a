package gitlabtest

import (
	"context"
	"fmt"
	"maps"
	"strings"

	"github.com/google/go-cmp/cmp"
	"github.com/jmoiron/sqlx"
	"github.com/lib/pq"
)

const selectResults = `
SELECT d.project_id, d.run_id, d.status, coalesce(d.full_path, '') AS full_path, coalesce(d.listed, 0) AS listed,
       coalesce(d.method, '') AS method, coalesce(d.pages, 0) AS pages, d.missing_count, coalesce(d.error, '') AS error,
       coalesce(array_agg(m.name ORDER BY m.name COLLATE "C") FILTER (WHERE m.name IS NOT NULL), '{}') AS missing
FROM regmend.data_repair_details d LEFT JOIN regmend.missing_repositories m USING (project_id)
GROUP BY d.project_id`

// Result is a row of data_repair_details with those of missing_repositories.
type Result struct {
	ProjectID    int64  `db:"project_id"`
	RunID        int64  `db:"run_id"`
	FullPath     string `db:"full_path"`
	MissingCount int    `db:"missing_count"`
	Status       string
	Method       string
	Pages        int
	Listed       int
	Error        string
	Missing      pq.StringArray
}

// Results are those of all projects, in no order.
func Results(ctx context.Context, db *sqlx.DB) ([]Result, error) {
	var results []Result
	if err := db.SelectContext(ctx, &results, selectResults); err != nil {
		return nil, fmt.Errorf("select results: %w", err)
	}
	return results, nil
}

// Differences tells how the results differ from what has to come out, row by
// row; "" if they do not. Two things may be otherwise: a project without a
// route may have failed in another run, as long as the error says why; and the
// distribution API and catalogs list repositories without tags too.
func Differences(want map[int64]Outcome, results []Result) string {
	var miscounted strings.Builder
	want = maps.Clone(want)
	got := make(map[int64]Outcome, len(results))
	for _, r := range results {
		if r.MissingCount != len(r.Missing) {
			fmt.Fprintf(&miscounted, "project %d: missing_count is %d, but %d are in missing_repositories\n",
				r.ProjectID, r.MissingCount, len(r.Missing))
		}
		got[r.ProjectID] = r.outcome()
		w, eligible := want[r.ProjectID]
		if !eligible {
			continue
		}
		if w.Status == "failed" && strings.Contains(r.Error, "no route") {
			got[r.ProjectID] = w
		}
		if strings.HasPrefix(r.Method, "distribution") || r.Method == "sweep" {
			w.Listed = r.Listed
			want[r.ProjectID] = w
		}
	}
	return miscounted.String() + cmp.Diff(want, got)
}

func (r Result) outcome() Outcome {
	return Outcome{
		Run: r.RunID, Status: r.Status, FullPath: r.FullPath, Listed: r.Listed,
		Missing: append([]string{}, r.Missing...),
	}
}
