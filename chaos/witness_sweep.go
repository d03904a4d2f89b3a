package main

import (
	"context"
	"time"
)

// course is a state that a sweep was in. Those of a database were committed in
// the order of their ID.
type course struct {
	Epoch int       `db:"-"`
	ID    int64     `db:"id"`
	XID   string    `db:"xid"`
	At    time.Time `db:"at"`

	Sweep  int64  `db:"sweep"`
	Run    int64  `db:"run"`
	Scan   int64  `db:"scan"`
	State  string `db:"state"`
	Pages  int    `db:"pages"`
	Cursor int64  `db:"cursor"`

	// What it read, and of that what it took for nobody's and for projects'; the
	// latter at the end of the walk, else 0.
	Repositories int64 `db:"repositories"`
	Unowned      int64 `db:"unowned"`
	Listed       int64 `db:"listed"`
}

// The states of a sweep, in their order.
const (
	preparing = "preparing"
	walking   = "walking"
	judging   = "judging"
	done      = "done"
	failed    = "failed"
)

// ended tells whether nothing more is to come of the sweep.
func ended(state string) bool { return state == done || state == failed }

const selectCourses = `
SELECT id, xid, at, (sweep).id AS sweep, (sweep).run_id AS run, (sweep).scan_number AS scan,
       (sweep).state AS state, (sweep).pages AS pages, (sweep).cursor AS cursor,
       (sweep).repositories AS repositories, (sweep).unowned AS unowned, coalesce(listed, 0) AS listed
FROM chaos.sweeps WHERE xid > $1::xid8 AND xid < pg_snapshot_xmin(pg_current_snapshot())
ORDER BY xid, id`

// readCourses reads what sweeps were in since the last look, as read does.
func (w *witness) readCourses(ctx context.Context) error {
	var courses []course
	if err := w.in.database.sql.SelectContext(ctx, &courses, selectCourses, w.sweptAt); err != nil {
		return err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, found := range courses {
		found.Epoch = w.epoch
		w.courses = append(w.courses, found)
		w.sweptAt = found.XID
	}
	return nil
}
