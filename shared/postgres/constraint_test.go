package postgres_test

import (
	"strings"
	"testing"

	"regmend/shared/postgres/postgrestest"
)

// columns of a row that the constraints accept, by column.
func soundRow(project int64, changes map[string]any) (statement string, args []any) {
	row := map[string]any{
		"project_id": project, "missing_count": 1, "status": "completed", "run_id": 1, "scan_number": 5,
		"full_path": "g/app", "method": "gitlab", "pages": 1, "listed": 2,
		"attempts": 0, "next_attempt_at": nil, "error": nil, "failure_scan_number": nil,
	}
	for column, value := range changes {
		row[column] = value
	}
	var columns, places []string
	for column, value := range row {
		columns = append(columns, column)
		args = append(args, value)
		places = append(places, "$"+string(rune('0'+len(args)/10))+string(rune('0'+len(args)%10)))
	}
	return `INSERT INTO regmend.data_repair_details (updated_at, ` + strings.Join(columns, ", ") + `)
		VALUES (now(), ` + strings.Join(places, ", ") + `)`, args
}

func TestP2_TheTableHoldsCompletedToItsEvidence(t *testing.T) {
	t.Parallel()
	db := postgrestest.New(t)
	project := db.Project(t, "g/app")
	failure := map[string]any{"attempts": 1, "next_attempt_at": "2030-01-01", "error": "timeout", "failure_scan_number": 6}
	with := func(column string, value any) map[string]any {
		changes := map[string]any{column: value}
		for c, v := range failure {
			if c != column {
				changes[c] = v
			}
		}
		return changes
	}
	tests := map[string]struct {
		changes map[string]any
		refused bool
	}{
		"with evidence":                  {nil, false},
		"with a later failure":           {failure, false},
		"without path":                   {map[string]any{"full_path": nil}, true},
		"with an empty path":             {map[string]any{"full_path": ""}, true},
		"without method":                 {map[string]any{"method": nil}, true},
		"without pages":                  {map[string]any{"pages": nil}, true},
		"with no page read":              {map[string]any{"pages": 0}, true},
		"without listed":                 {map[string]any{"listed": nil}, true},
		"with more missing than listed":  {map[string]any{"missing_count": 3}, true},
		"without run":                    {map[string]any{"run_id": nil}, true},
		"without scan number":            {map[string]any{"scan_number": nil}, true},
		"without status":                 {map[string]any{"status": nil}, true},
		"with a negative count":          {map[string]any{"missing_count": -1}, true},
		"with half a failure: no reason": {with("error", nil), true},
		"with half a failure: no next":   {with("next_attempt_at", nil), true},
		"with half a failure: no number": {with("failure_scan_number", nil), true},
		"with an older failure":          {with("failure_scan_number", 4), true},
		"failed without a failure":       {map[string]any{"status": "failed", "missing_count": 0}, true},
		"failed and missing something":   {with("status", "failed"), true},
		"with a status of its own":       {map[string]any{"status": "ongoing"}, true},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			statement, args := soundRow(project, test.changes)
			_, err := db.SQL.ExecContext(t.Context(), statement, args...)
			if (err != nil) != test.refused {
				t.Errorf("insert = %v, want refused %v", err, test.refused)
			}
			db.Exec(t, `DELETE FROM regmend.data_repair_details`)
		})
	}
}
