package postgres

import (
	"context"
	"errors"
	"slices"

	"regmend/shared/gitlab"

	"github.com/jmoiron/sqlx"
	"github.com/lib/pq"
)

// Written says what became of the projects whose results were written. Each
// project counts once, and once more if a look at it was among them.
type Written struct {
	Applied    int // its row was written
	Looked     int // a look at it was written
	Superseded int // an equal or better row stands
	Discarded  int // it was renamed, moved or deleted, or the results are of another run
	Failed     int // its result could not be stored and was recorded as failed
}

func (w Written) plus(other Written) Written {
	return Written{
		Applied:    w.Applied + other.Applied,
		Looked:     w.Looked + other.Looked,
		Superseded: w.Superseded + other.Superseded,
		Discarded:  w.Discarded + other.Discarded,
		Failed:     w.Failed + other.Failed,
	}
}

// Write writes results of run, so that the rows that come of it depend only on
// the set of results written in this run, not on their order: within a project
// a completed one beats a failed one, and among equals the higher scan number
// wins. A failure after a completed scan is kept beside it. A look is kept beside
// the row, until a completed scan comes after it; of looks the highest scan number
// stays, whose names keep the time of the first that had them. Writing the same
// results again changes nothing.
//
// ErrRunChanged means that run is not the database's current one or that its
// scan numbers fell behind, ErrStandby that there is no writing here, and a
// *ShrunkError that so many listings shrank that they are not believed. After
// any error the results may be written in part, and may be written again.
//
// Where a listing is known whole, the version that it is is written with its row.
func (db *DB) Write(ctx context.Context, run Run, results []gitlab.Result) (Written, error) {
	looks, others := divide(results)
	verdicts, discarded := combine(run, others)
	written, err := db.writeHalving(ctx, run, verdicts)
	written.Discarded += discarded
	if err == nil {
		var looked Written
		looked, err = db.writeLooks(ctx, run, looks)
		written = written.plus(looked)
	}
	return written, db.fault(ctx, "write results", err)
}

// writeHalving writes verdicts, and where the database refuses a value, goes
// on in halves down to the verdict at fault, so that one bad project does not
// hold up the others.
func (db *DB) writeHalving(ctx context.Context, run Run, verdicts []verdict) (Written, error) {
	var written Written
	err := inHalves(verdicts, func(part []verdict) error {
		w, err := db.writeTogether(ctx, run, part)
		written = written.plus(w)
		return err
	}, func(v verdict, reason error) error {
		w, err := db.writeOffender(ctx, run, v, reason)
		written = written.plus(w)
		return err
	})
	return written, err
}

// inHalves calls write with items, and where the database refuses a value, with
// half of them at a time, down to the one at fault, which goes to offender. It
// ends with the first other error.
func inHalves[T any](items []T, write func([]T) error, offender func(T, error) error) error {
	if len(items) == 0 {
		return nil
	}
	err := write(items)
	switch {
	case !refused(err):
		return err
	case len(items) == 1:
		return offender(items[0], err)
	}
	half := len(items) / 2
	if err := inHalves(items[:half], write, offender); err != nil {
		return err
	}
	return inHalves(items[half:], write, offender)
}

// writeOffender records why v could not be stored. If its project was deleted
// meanwhile, that was the reason, and v is dropped.
func (db *DB) writeOffender(ctx context.Context, run Run, v verdict, reason error) (Written, error) {
	failed := verdict{project: v.project, failed: &gitlab.Result{
		Run:     run.ID,
		Scan:    v.scan(),
		Project: v.project,
		Status:  gitlab.Failed,
		Error:   "its result could not be stored: " + reason.Error(),
	}}
	written, err := db.writeTogether(ctx, run, []verdict{failed})
	if refused(err) {
		return Written{Discarded: 1}, nil
	}
	written.Failed, written.Applied = written.Applied, 0
	return written, err
}

// writeTogether writes the results of projects without a row, and then the
// others. In one transaction it would lock rows out of their order.
func (db *DB) writeTogether(ctx context.Context, run Run, verdicts []verdict) (Written, error) {
	ctx, cancel := briefly(ctx)
	defer cancel()
	written, others, err := db.writeFresh(ctx, run, verdicts)
	if err != nil || len(others) == 0 {
		return written, err
	}
	err = db.hold(ctx, run, highest(others), func(tx *sqlx.Tx) error {
		rows, err := upsert(ctx, tx, run, others)
		if err != nil {
			return err
		}
		written = written.plus(count(others, rows))
		if err := replaceMissing(ctx, tx, others, rows); err != nil {
			return err
		}
		return keepSnapshots(ctx, tx, run, listingsTold(others, rows), nil)
	})
	if err != nil {
		return Written{}, err
	}
	return written, nil
}

// errNoneFresh ends a transaction that has nothing to commit.
var errNoneFresh = errors.New("every project has a row")

// writeFresh writes those of verdicts that insert can, and returns the others.
func (db *DB) writeFresh(ctx context.Context, run Run, verdicts []verdict) (written Written, others []verdict, err error) {
	if !slices.ContainsFunc(verdicts, verdict.fresh) {
		return Written{}, verdicts, nil
	}
	err = db.hold(ctx, run, highest(verdicts), func(tx *sqlx.Tx) (err error) {
		written.Applied, others, err = insert(ctx, tx, run, verdicts)
		if err == nil && written.Applied == 0 {
			err = errNoneFresh
		}
		return err
	})
	if err != nil && !errors.Is(err, errNoneFresh) {
		return Written{}, nil, err
	}
	return written, others, nil
}

// hold runs write in a transaction, until whose end run stays what it is; scan is
// the highest number to be written.
func (db *DB) hold(ctx context.Context, run Run, scan int64, write func(*sqlx.Tx) error) error {
	return db.transact(ctx, nil, func(tx *sqlx.Tx) error {
		if err := holdRun(ctx, tx, run, scan); err != nil {
			return err
		}
		return write(tx)
	})
}

func count(verdicts []verdict, rows map[int64]upserted) Written {
	w := Written{Discarded: len(verdicts) - len(rows)}
	for _, row := range rows {
		if row.changed() {
			w.Applied++
		} else {
			w.Superseded++
		}
	}
	return w
}

const (
	deleteMissing = `
WITH young AS (DELETE FROM regmend.young_repositories WHERE project_id = ANY ($1))
DELETE FROM regmend.missing_repositories WHERE project_id = ANY ($1)`

	insertMissing = `
INSERT INTO regmend.missing_repositories (project_id, name, created_at)
SELECT project_id, name, created_at
FROM unnest($1::bigint[], $2::text[], $3::timestamptz[]) AS missing (project_id, name, created_at)`

	insertYoung = `
INSERT INTO regmend.young_repositories (project_id, name, created_at)
SELECT project_id, name, created_at
FROM unnest($1::bigint[], $2::text[], $3::timestamptz[]) AS young (project_id, name, created_at)`
)

// replaceMissing makes the missing repositories those of the rows just
// written. The rows' locks are held, so no other flush mixes in its own.
func replaceMissing(ctx context.Context, tx *sqlx.Tx, verdicts []verdict, rows map[int64]upserted) error {
	var replaced []int64
	var missing missingRows
	for _, v := range verdicts {
		if rows[v.project.ID].tells(v) {
			replaced = append(replaced, v.project.ID)
			missing.add(v)
		}
	}
	if len(replaced) == 0 {
		return nil
	}
	if _, err := tx.ExecContext(ctx, deleteMissing, pq.Array(replaced)); err != nil {
		return err
	}
	if err := missing.insert(ctx, tx); err != nil {
		return err
	}
	return endLooks(ctx, tx, replaced)
}

// missingRows are what completed results say is missing, and what is too young.
type missingRows struct{ missing, young namedRows }

func (m *missingRows) add(v verdict) {
	if r := v.completed; r != nil {
		m.missing.add(v.project.ID, r.Missing, r.Created)
		m.young.add(v.project.ID, r.Young, r.Created)
	}
}

func (m *missingRows) insert(ctx context.Context, tx *sqlx.Tx) error {
	if err := m.missing.insert(ctx, tx, insertMissing); err != nil {
		return err
	}
	return m.young.insert(ctx, tx, insertYoung)
}
