package postgres

import (
	"context"
	"fmt"

	"regmend/shared/gitlab"

	"github.com/jmoiron/sqlx"
)

const (
	// enoughShrunk is how many projects' listings have to have shrunk, and
	// oneIn of how many compared one at most may have, before they are not
	// believed: clean-up policies empty some all the time.
	enoughShrunk, oneIn = 20, 5
	// tallied is about how many of the last comparisons count.
	tallied = 200
)

// ShrunkError says that the listings of so many projects shrank that the
// registry is rather believed to be wrong.
type ShrunkError struct {
	Run              int64
	Shrunk, Compared int // of the last projects that had listed something before
	Share            int // percent by which a listing may shrink
	// Example is one of them, with how much it listed before, and now.
	Example     gitlab.Project
	Before, Now int
}

func (e *ShrunkError) Error() string {
	return fmt.Sprintf("%d of the last %d listings that could be compared shrank by more than %d %% (such as %s, from %d to %d repositories)",
		e.Shrunk, e.Compared, e.Share, e.Example.FullPath, e.Before, e.Now)
}

// comparison is a listing beside the version before it, which was not empty.
type comparison struct {
	project     gitlab.Project
	before, now int
}

// compare compares listings with the latest versions, as far as these are older
// and not empty.
func compare(listings []wholeListing, latest map[int64]version) (comparisons []comparison) {
	for _, l := range listings {
		if last := latest[l.project.ID]; last.Listed > 0 && l.scan > last.LastScan {
			comparisons = append(comparisons, comparison{l.project, last.Listed, len(l.names)})
		}
	}
	return comparisons
}

func (c comparison) shrank(share int) bool { return c.now*100 < c.before*(100-share) }

// shrinkage is how many of the last comparisons shrank.
type shrinkage struct {
	Share    int  `db:"share"`
	Compared int  `db:"compared"`
	Shrunk   int  `db:"shrunk"`
	Accepted bool `db:"accepted"`
}

// plus is t with more comparisons, and one of those that shrank.
func (t shrinkage) plus(comparisons []comparison) (sum shrinkage, example comparison) {
	for _, c := range comparisons {
		t.Compared++
		if c.shrank(t.Share) {
			t.Shrunk++
			example = c
		}
	}
	return t, example
}

// faded is t with what is older counting less.
func (t shrinkage) faded() shrinkage {
	if t.Compared > tallied {
		t.Shrunk, t.Compared = t.Shrunk*(tallied/2)/t.Compared, tallied/2
	}
	return t
}

const (
	// The first of a run makes its row; from then on it is locked.
	selectShrinkage = `
SELECT coalesce((SELECT value::integer FROM regmend.settings WHERE key = 'shrink_share'), $2) AS share,
       coalesce(t.compared, 0) AS compared, coalesce(t.shrunk, 0) AS shrunk, t.accepted_at IS NOT NULL AS accepted
FROM (SELECT) AS one
LEFT JOIN LATERAL (SELECT compared, shrunk, accepted_at FROM regmend.shrinkage WHERE run_id = $1 FOR UPDATE) AS t ON true`

	writeShrinkage = `
INSERT INTO regmend.shrinkage (run_id, compared, shrunk) VALUES ($1, $2, $3)
ON CONFLICT (run_id) DO UPDATE SET compared = excluded.compared, shrunk = excluded.shrunk`
)

// weigh returns a *ShrunkError if too many listings shrank: of the last ones in
// this run, those that are being written, and others that are about to be. The
// ones that are being written are counted for those to come.
func weigh(ctx context.Context, tx *sqlx.Tx, run Run, written, others []comparison) error {
	if len(written)+len(others) == 0 {
		return nil
	}
	var before shrinkage
	if err := tx.GetContext(ctx, &before, selectShrinkage, run.ID, defaultShrinkShare); err != nil {
		return err
	}
	if before.Accepted {
		return nil
	}
	all, example := before.plus(append(written[:len(written):len(written)], others...))
	if example.before > 0 && all.Shrunk >= enoughShrunk && all.Shrunk*oneIn > all.Compared {
		return &ShrunkError{
			Run: run.ID, Shrunk: all.Shrunk, Compared: all.Compared, Share: all.Share,
			Example: example.project, Before: example.before, Now: example.now,
		}
	}
	if len(written) == 0 {
		return nil
	}
	after, _ := before.plus(written)
	after = after.faded()
	_, err := tx.ExecContext(ctx, writeShrinkage, run.ID, after.Compared, after.Shrunk)
	return err
}

const writeAcceptance = `
INSERT INTO regmend.shrinkage (run_id, compared, shrunk, accepted_at, accepted_by) VALUES ($1, 0, 0, now(), $2)
ON CONFLICT (run_id) DO UPDATE SET accepted_at = now(), accepted_by = $2
WHERE regmend.shrinkage.accepted_at IS NULL`

// AcceptShrunk lets listings shrink from now on, for the rest of the run. Who
// accepted that is noted, the first time.
func (db *DB) AcceptShrunk(ctx context.Context, run Run, by string) error {
	err := db.transact(ctx, nil, func(tx *sqlx.Tx) error {
		if err := holdRun(ctx, tx, run, run.Scan); err != nil {
			return err
		}
		_, err := tx.ExecContext(ctx, writeAcceptance, run.ID, by)
		return err
	})
	return db.fault(ctx, "accept what shrank", err)
}
