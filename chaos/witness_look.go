package main

import (
	"context"

	"github.com/lib/pq"
)

// glance is a first look that was written: what it believes missing.
type glance struct {
	Epoch     int            `db:"-"`
	XID       string         `db:"xid"`
	ProjectID int64          `db:"project_id"`
	Run       int64          `db:"run"`
	Scan      int64          `db:"scan"`
	Missing   pq.StringArray `db:"missing"`
}

const selectGlances = `
SELECT xid, project_id, run, scan, missing
FROM chaos.looks WHERE xid > $1::xid8 AND xid < pg_snapshot_xmin(pg_current_snapshot())
ORDER BY xid, id`

// readGlances reads the looks since the last time.
func (w *witness) readGlances(ctx context.Context) error {
	var glances []glance
	if err := w.in.database.sql.SelectContext(ctx, &glances, selectGlances, w.lookedAt); err != nil {
		return err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, found := range glances {
		found.Epoch = w.epoch
		w.glances = append(w.glances, found)
		w.lookedAt = found.XID
	}
	return nil
}
