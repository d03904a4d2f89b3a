package postgres

import "context"

// Chop makes the steps of a sweep small, so that a small world takes many.
func (db *DB) Chop(keep, judge, candidates int) {
	db.chunks = chunks{keep: keep, judge: judge, candidates: candidates}
}

// DropLeftovers is what steps do that end a sweep or begin one.
func (db *DB) DropLeftovers(ctx context.Context) error { return db.dropLeftovers(ctx) }

// CitedByRepair tells of a snapshot s whether a repair needs it.
const CitedByRepair = citedByRepair
