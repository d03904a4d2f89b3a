package main

import (
	"context"
	_ "embed"
	"fmt"
	"time"

	"github.com/lib/pq"
)

//go:embed repair_log.sql
var createRepairLog string

// touch is a change of a row of container_repositories, or of one that refers to
// it. Those of a row were made in the order of their ID.
type touch struct {
	ID        int64          `db:"id"`
	XID       string         `db:"xid"`
	At        time.Time      `db:"at"`
	Committed time.Time      `db:"committed"`
	Role      string         `db:"role"`
	Op        string         `db:"op"`
	Referrer  bool           `db:"referrer"`
	Row       int64          `db:"row_id"`
	Project   int64          `db:"project_id"`
	Name      string         `db:"name"`
	New       string         `db:"new"` // the whole row, "" if there is none
	Old       string         `db:"old"`
	Against   pq.StringArray `db:"against"` // what spoke against inserting it
}

func (t touch) String() string {
	return fmt.Sprintf("%s %s by %s of row %d, %q of project %d", t.At.Format("15:04:05.000"), t.Op, t.Role, t.Row, t.Name, t.Project)
}

// stage is a state that an item of a repair was in. Those of an item were reached
// in the order of their ID.
type stage struct {
	ID      int64     `db:"id"`
	XID     string    `db:"xid"`
	At      time.Time `db:"at"`
	Scan    int64     `db:"scan"` // the last number given out by then
	Op      string    `db:"op"`
	Via     string    `db:"via"`
	Ordered string    `db:"ordered"` // the plan's state
	Was     string    `db:"was"`     // the item's state before, "" if there was none

	Plan        int64  `db:"plan"`
	Number      int    `db:"number"`
	Project     int64  `db:"project"`
	Name        string `db:"name"`
	State       string `db:"state"`
	Reason      string `db:"reason"`
	Doubt       string `db:"doubt"`
	Row         int64  `db:"row_id"`
	RescanAfter int64  `db:"rescan_after"`
}

func (s stage) String() string {
	return fmt.Sprintf("%s item %d of plan %d (%s, was %s)", s.At.Format("15:04:05.000"), s.Number, s.Plan, s.State, s.Was)
}

const (
	selectTouches = `
SELECT id, xid, at, pg_xact_commit_timestamp(xid::xid) AS committed, role, op, referrer, row_id, project_id, name, new, old, against
FROM chaos.repositories WHERE xid > $1::xid8 AND xid < pg_snapshot_xmin(pg_current_snapshot())
ORDER BY xid, id`

	selectStages = `
SELECT id, xid, at, scan, op, via, ordered, was, (item).plan_id AS plan, (item).number AS number,
       (item).project_id AS project, (item).name AS name, (item).state AS state,
       coalesce((item).reason, '') AS reason, coalesce((item).doubt, '') AS doubt,
       coalesce((item).inserted_id, 0) AS row_id, coalesce((item).rescan_after, 0) AS rescan_after
FROM chaos.items WHERE xid > $1::xid8 AND xid < pg_snapshot_xmin(pg_current_snapshot())
ORDER BY xid, id`
)

// repairLog is what the triggers saw of repairs.
type repairLog struct {
	touches []touch
	stages  []stage

	touchedAt, stagedAt string // the last transactions read
}

// readRepairs reads what was recorded of repairs since the last look, as read does.
func (w *witness) readRepairs(ctx context.Context) error {
	db := w.in.database.sql
	var touches []touch
	if err := db.SelectContext(ctx, &touches, selectTouches, w.repairLog.touchedAt); err != nil {
		return err
	}
	var stages []stage
	if err := db.SelectContext(ctx, &stages, selectStages, w.repairLog.stagedAt); err != nil {
		return err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	l := &w.repairLog
	for _, t := range touches {
		l.touches, l.touchedAt = append(l.touches, t), t.XID
	}
	for _, s := range stages {
		l.stages, l.stagedAt = append(l.stages, s), s.XID
	}
	return nil
}
