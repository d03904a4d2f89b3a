package postgres

import (
	"bytes"
	"cmp"
	"context"
	"database/sql"
	"errors"
	"slices"

	"regmend/shared/gitlab"

	"github.com/jmoiron/sqlx"
	"github.com/lib/pq"
)

// wholeListing is a listing that is known whole, and so is a version of what
// its project lists.
type wholeListing struct {
	project gitlab.Project
	scan    int64
	names   []string
	digest  []byte        // NULL of the empty set
	told    sql.NullInt64 // the version that the row says it is
	rowless bool          // it is of a look, of which no row tells
}

// addListing adds v's listing to listings if it is known whole.
func (v verdict) addListing(listings []wholeListing, told sql.NullInt64) []wholeListing {
	if v.completed == nil || v.completed.Names == nil {
		return listings
	}
	l := wholeListing{project: v.project, scan: v.completed.Scan, names: v.completed.Names, told: told}
	if len(l.names) > 0 {
		digest := gitlab.Digest(l.names)
		l.digest = digest[:]
	}
	return append(listings, l)
}

// firstVersion is what v's listing is if there is no version of its project.
func firstVersion(v verdict) sql.NullInt64 {
	if v.completed == nil || len(v.completed.Names) == 0 {
		return sql.NullInt64{}
	}
	return sql.NullInt64{Int64: 1, Valid: true}
}

func listingsOf(verdicts []verdict) (listings []wholeListing) {
	for _, v := range verdicts {
		listings = v.addListing(listings, sql.NullInt64{})
	}
	return listings
}

// listingsTold are those of verdicts that their rows now tell of.
func listingsTold(verdicts []verdict, rows map[int64]upserted) (listings []wholeListing) {
	for _, v := range verdicts {
		if row := rows[v.project.ID]; v.completed != nil && row.tells(v) {
			listings = v.addListing(listings, row.Snapshot)
		}
	}
	return listings
}

// version is the latest of a project.
type version struct {
	ProjectID int64  `db:"project_id"`
	Number    int64  `db:"number"`
	Digest    []byte `db:"digest"`
	Listed    int    `db:"listed"`
	LastScan  int64  `db:"last_scan_number"`
}

// Where no project from the first to the last has a version, which is so as long as
// results are the first ones, that is all that is looked up.
const selectLatest = `
SELECT found.project_id, s.number, s.digest, s.listed, s.last_scan_number
FROM unnest($1::bigint[]) AS found (project_id)
CROSS JOIN LATERAL (SELECT number, digest, listed, last_scan_number FROM regmend.snapshots
                    WHERE project_id = found.project_id ORDER BY number DESC LIMIT 1) AS s
WHERE (SELECT project_id FROM regmend.snapshots WHERE project_id >= $2 ORDER BY project_id LIMIT 1) <= $3`

// latestOf are the latest versions of the listings' projects, as far as there
// are any. There has to be a listing.
func latestOf(ctx context.Context, tx *sqlx.Tx, listings []wholeListing) (map[int64]version, error) {
	ids := make([]int64, len(listings))
	for i, l := range listings {
		ids[i] = l.project.ID
	}
	var found []version
	if err := tx.SelectContext(ctx, &found, selectLatest, pq.Array(ids), slices.Min(ids), slices.Max(ids)); err != nil {
		return nil, err
	}
	latest := make(map[int64]version, len(found))
	for _, v := range found {
		latest[v.ProjectID] = v
	}
	return latest, nil
}

// mostRaces bounds how often a version of a project is lost to another writer
// before the flush is given up, to be begun anew.
const mostRaces = 10

var errRaces = errors.New("others write versions of the same projects all the time")

// keepSnapshots writes the versions that listings are, whose rows or looks were
// written in this transaction, and into the rows which these are. others are listings
// that are about to be written: they count where listings shrink.
//
// Two that write a version of one project at once both see the same latest one;
// one of them writes the next number, the other reads again, and decides anew.
func keepSnapshots(ctx context.Context, tx *sqlx.Tx, run Run, listings, others []wholeListing) error {
	if len(listings) == 0 {
		return nil
	}
	latest, err := latestOf(ctx, tx, slices.Concat(listings, others))
	if err != nil {
		return err
	}
	if err := weigh(ctx, tx, run, compare(listings, latest), compare(others, latest)); err != nil {
		return err
	}
	var told numbered
	for range mostRaces {
		d := decide(listings, latest)
		lost, err := d.write(ctx, tx, run)
		if err != nil {
			return err
		}
		told.note(listings, d, lost)
		if len(lost) == 0 {
			return told.write(ctx, tx)
		}
		listings = slices.DeleteFunc(d.added, func(l wholeListing) bool { return !lost[l.project.ID] })
		if latest, err = latestOf(ctx, tx, listings); err != nil {
			return err
		}
	}
	return errRaces
}

// decision is what becomes of listings.
type decision struct {
	numbers map[int64]int64 // by project; what is not there is no version
	added   []wholeListing  // versions to be added, by project
	seen    []wholeListing  // the latest versions, seen again
}

// decide compares listings with the latest versions of their projects. An equal
// one is seen again. One that another scan came after is none: it would be put
// above what is newer. The empty set is no version of a project that never
// listed anything.
func decide(listings []wholeListing, latest map[int64]version) decision {
	d := decision{numbers: make(map[int64]int64)}
	for _, l := range listings {
		last := latest[l.project.ID]
		equal := bytes.Equal(l.digest, last.Digest)
		switch {
		case equal && last.Number > 0:
			d.numbers[l.project.ID] = last.Number
			if l.scan > last.LastScan {
				d.seen = append(d.seen, l)
			}
		case !equal && l.scan > last.LastScan:
			d.numbers[l.project.ID] = last.Number + 1
			d.added = append(d.added, l)
		}
	}
	slices.SortFunc(d.added, func(a, b wholeListing) int { return cmp.Compare(a.project.ID, b.project.ID) })
	return d
}

// numbered are rows that say of their listing another version than it is.
type numbered struct {
	projects []int64
	numbers  []sql.NullInt64
}

// note notes the versions that listings became, but for those of lost.
func (n *numbered) note(listings []wholeListing, d decision, lost map[int64]bool) {
	for _, l := range listings {
		number, is := d.numbers[l.project.ID]
		if right := (sql.NullInt64{Int64: number, Valid: is}); !l.rowless && !lost[l.project.ID] && l.told != right {
			n.projects, n.numbers = append(n.projects, l.project.ID), append(n.numbers, right)
		}
	}
}

// The rows are locked: what was found is still there.
const updateSnapshot = `
UPDATE regmend.data_repair_details d SET snapshot = told.snapshot
FROM (
    SELECT row.ctid, found.snapshot
    FROM unnest($1::bigint[], $2::integer[]) AS found (project_id, snapshot)
    CROSS JOIN LATERAL (SELECT ctid FROM regmend.data_repair_details WHERE project_id = found.project_id LIMIT 1) AS row
) AS told
WHERE d.ctid = told.ctid`

func (n *numbered) write(ctx context.Context, tx *sqlx.Tx) error {
	if len(n.projects) == 0 {
		return nil
	}
	_, err := tx.ExecContext(ctx, updateSnapshot, pq.Array(n.projects), pq.Array(n.numbers))
	return err
}
