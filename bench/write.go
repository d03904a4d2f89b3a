package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"regmend/shared/gitlab"
	"regmend/shared/postgres"

	"github.com/jmoiron/sqlx"
)

// written is how many results a second each of two ways wrote.
type written struct{ flush, copied float64 }

// flushSize is how many results one flush writes: the setting stash_limit.
const flushSize = 1000

const (
	forgetResults = `TRUNCATE regmend.data_repair_details, regmend.missing_repositories`
	copyResults   = `COPY regmend.data_repair_details (project_id, missing_count, status, updated_at, run_id, scan_number, full_path, method, pages, listed) FROM STDIN`
	copyMissing   = `COPY regmend.missing_repositories (project_id, name) FROM STDIN`
)

// writes writes the results of so many projects twice into an empty table: as a
// flush does, without Redis, and with COPY.
func (in *installation) writes(ctx context.Context, projects int64) (w written, err error) {
	db, err := postgres.Open(in.postgres.Database(in.database))
	if err != nil {
		return w, err
	}
	defer db.Close()
	state, err := db.State(ctx)
	if err != nil {
		return w, err
	}
	results, err := in.results(ctx, state.Run, projects)
	if err != nil {
		return w, err
	}
	w.flush, err = in.timed(ctx, results, func(some []gitlab.Result) error {
		_, err := db.Write(ctx, state.Run, some)
		return err
	})
	if err != nil {
		return w, err
	}
	w.copied, err = in.timed(ctx, results, func(some []gitlab.Result) error { return in.copy(ctx, some) })
	return w, err
}

// timed writes into the empty table and returns the results a second.
func (in *installation) timed(ctx context.Context, results []gitlab.Result, write func([]gitlab.Result) error) (float64, error) {
	if _, err := in.sql.ExecContext(ctx, forgetResults); err != nil {
		return 0, err
	}
	began := time.Now()
	for some := range slices.Chunk(results, flushSize) {
		if err := write(some); err != nil {
			return 0, err
		}
	}
	took := time.Since(began)
	var rows int
	if err := in.sql.GetContext(ctx, &rows, `SELECT count(*) FROM regmend.data_repair_details`); err != nil {
		return 0, err
	}
	if rows != len(results) {
		return 0, fmt.Errorf("%d of %d results were written", rows, len(results))
	}
	return float64(rows) / took.Seconds(), nil
}

// results are what scans of the first projects give, as the stash has them.
func (in *installation) results(ctx context.Context, run postgres.Run, projects int64) ([]gitlab.Result, error) {
	var scan int64
	if err := in.sql.GetContext(ctx, &scan, `SELECT nextval('regmend.scan_number')`); err != nil {
		return nil, err
	}
	results := make([]gitlab.Result, 0, projects)
	for id := range min(projects, in.shape.Projects) {
		r := gitlab.Result{
			Run: run.ID, Scan: scan, Status: gitlab.Completed,
			Project:  gitlab.Project{ID: id + 1, FullPath: in.shape.fullPath(id + 1)},
			Evidence: gitlab.Evidence{Method: "gitlab", Pages: 1},
		}
		if tagged(r.Project.ID) {
			r.Listed = 1
		}
		if r.Project.ID%lost == firstTagged {
			r.Missing = []string{repositoryName}
		}
		results = append(results, r)
	}
	return results, nil
}

// copy writes results with COPY, in one transaction.
func (in *installation) copy(ctx context.Context, results []gitlab.Result) (err error) {
	tx, err := in.sql.BeginTxx(ctx, nil)
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, tx.Rollback())
		}
	}()
	if err := copyInto(ctx, tx, copyResults, func(row func(...any) error) error {
		now := time.Now()
		for _, r := range results {
			if err := row(r.Project.ID, len(r.Missing), string(r.Status), now, r.Run, r.Scan, r.Project.FullPath, r.Method, r.Pages, r.Listed); err != nil {
				return err
			}
		}
		return nil
	}); err != nil {
		return err
	}
	if err := copyInto(ctx, tx, copyMissing, func(row func(...any) error) error {
		for _, r := range results {
			for _, name := range r.Missing {
				if err := row(r.Project.ID, name); err != nil {
					return err
				}
			}
		}
		return nil
	}); err != nil {
		return err
	}
	return tx.Commit()
}

// copyInto sends the rows that each sends to the COPY statement.
func copyInto(ctx context.Context, tx *sqlx.Tx, statement string, each func(row func(...any) error) error) error {
	st, err := tx.PrepareContext(ctx, statement)
	if err != nil {
		return err
	}
	defer st.Close()
	if err := each(func(values ...any) error {
		_, err := st.ExecContext(ctx, values...)
		return err
	}); err != nil {
		return err
	}
	_, err = st.ExecContext(ctx)
	return err
}
