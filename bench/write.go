package main

import (
	"bytes"
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"regmend/shared/gitlab"
	"regmend/shared/postgres"
)

// written is how many results a second each of two ways wrote.
type written struct{ flush, copied float64 }

// flushSize is how many results one flush writes: the setting stash_limit.
const flushSize = 1000

const (
	forgetResults = `TRUNCATE regmend.data_repair_details, regmend.missing_repositories, regmend.young_repositories, regmend.snapshots, regmend.snapshot_contents`
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
	conn, err := in.sql.Connx(ctx)
	if err != nil {
		return err
	}
	defer conn.Close()
	rows, missing := copied(results)
	if _, err := conn.ExecContext(ctx, `BEGIN`); err != nil {
		return err
	}
	for _, c := range []struct{ statement, lines string }{{copyResults, rows}, {copyMissing, missing}} {
		if c.lines == "" {
			continue
		}
		err := conn.Raw(func(conn any) error { return send(ctx, conn.(driver.Conn), c.statement, c.lines) })
		if err != nil {
			return err
		}
	}
	_, err = conn.ExecContext(ctx, `COMMIT`)
	return err
}

// copied are results in COPY's text format, which is the cheapest way to send
// them. Nothing in them needs to be escaped.
func copied(results []gitlab.Result) (rows, missing string) {
	now := time.Now().Format(time.RFC3339Nano)
	var r, m []byte
	for _, one := range results {
		r = strconv.AppendInt(r, one.Project.ID, 10)
		r = strconv.AppendInt(append(r, '\t'), int64(len(one.Missing)), 10)
		r = append(append(append(append(append(r, '\t'), one.Status...), '\t'), now...), '\t')
		r = strconv.AppendInt(r, one.Run, 10)
		r = strconv.AppendInt(append(r, '\t'), one.Scan, 10)
		r = append(append(append(append(append(r, '\t'), one.Project.FullPath...), '\t'), one.Method...), '\t')
		r = strconv.AppendInt(r, int64(one.Pages), 10)
		r = append(strconv.AppendInt(append(r, '\t'), int64(one.Listed), 10), '\n')
		for _, name := range one.Missing {
			m = append(append(append(strconv.AppendInt(m, one.Project.ID, 10), '\t'), name...), '\n')
		}
	}
	return string(bytes.TrimSuffix(r, []byte{'\n'})), string(bytes.TrimSuffix(m, []byte{'\n'}))
}

// copier is what the driver's COPY statement can do beside others.
type copier interface {
	driver.Stmt
	CopyData(ctx context.Context, lines string) (driver.Result, error)
}

// send sends the lines to the COPY statement.
func send(ctx context.Context, conn driver.Conn, statement, lines string) error {
	prepared, err := conn.Prepare(statement)
	if err != nil {
		return err
	}
	st := prepared.(copier)
	_, err = st.CopyData(ctx, lines)
	if err == nil {
		_, err = st.Exec(nil) //nolint:staticcheck // the driver's COPY has no other end
	}
	return errors.Join(err, st.Close())
}
