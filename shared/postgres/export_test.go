package postgres

// Chop makes the steps of a sweep small, so that a small world takes many.
func (db *DB) Chop(keep, judge, candidates int) {
	db.chunks = chunks{keep: keep, judge: judge, candidates: candidates}
}
