package postgres

import (
	"context"
	"time"

	"regmend/shared/gitlab"

	"github.com/lib/pq"
)

// Glance is a scan that looks for rows, and by which looks before it what it
// misses is confirmed: those of its run at the same full paths that were written
// Apart before its Start.
type Glance struct {
	Run      Run
	Scan     int64            // looks have lower numbers
	Start    time.Time        // before anything was listed, by the database's clock
	Apart    time.Duration    // between the two looks, at least
	MinAge   time.Duration    // of what counts
	Projects []gitlab.Project // with the full paths that were listed
}

// Missing is a listed repository without a row.
type Missing struct {
	Listed
	// Confirmed tells whether a look missed it too.
	Confirmed bool
	// OldAt is when it is old enough to count, zero if it is or if its age is not
	// known. At most MinAge from now, whatever the registry's clock says.
	OldAt time.Time
}

// A failure after a look leaves it what it was. LATERAL with LIMIT is as in
// selectWithoutRow.
const selectMissing = `
WITH looked AS MATERIALIZED (
    SELECT array_agg(given.id) AS ids
    FROM unnest($4::bigint[], $5::text[]) AS given (id, path)
    CROSS JOIN LATERAL (SELECT * FROM regmend.looks WHERE project_id = given.id LIMIT 1) AS l
    LEFT JOIN LATERAL (SELECT * FROM regmend.data_repair_details
                       WHERE project_id = given.id AND status = 'completed' LIMIT 1) AS d ON true
    WHERE l.run_id = $1 AND l.scan_number > $2 AND l.scan_number < $3 AND l.full_path = given.path
      AND NOT (` + trusted + ` AND d.scan_number >= l.scan_number)
), missing AS (
    SELECT listed.position, seen.project_id IS NOT NULL AS confirmed,
           CASE WHEN listed.created > extract(epoch FROM now()) * 1000000 - $11
                THEN least(listed.created, (extract(epoch FROM now()) * 1000000)::bigint) + $11 ELSE 0 END AS old_at
    FROM unnest($6::bigint[], $7::text[], $8::bigint[]) WITH ORDINALITY AS listed (project_id, name, created, position)
    LEFT JOIN LATERAL (SELECT c.id FROM public.container_repositories c
                       WHERE c.project_id = listed.project_id AND c.name = listed.name
                       LIMIT 1) AS row ON true
    LEFT JOIN LATERAL (SELECT n.project_id FROM regmend.looked_repositories n
                       WHERE n.project_id = listed.project_id AND n.name = listed.name
                         AND n.project_id = ANY ((SELECT ids FROM looked)::bigint[])
                         AND n.looked_at <= $9::timestamptz - $10::bigint * interval '1 microsecond'
                       LIMIT 1) AS seen ON true
    WHERE row.id IS NULL
)
SELECT pg_is_in_recovery(),
       coalesce(array_agg(position ORDER BY position), '{}'),
       coalesce(array_agg(confirmed ORDER BY position), '{}'),
       coalesce(array_agg(old_at ORDER BY position), '{}')
FROM missing`

// Missing is WithoutRow for those who then say what is missing: it tells beside
// each what else has to be so before it counts.
func (db *DB) Missing(ctx context.Context, g Glance, listed []Listed) ([]Missing, error) {
	ctx, cancel := briefly(ctx)
	defer cancel()
	ids, paths := make([]int64, len(g.Projects)), make([]string, len(g.Projects))
	for i, p := range g.Projects {
		ids[i], paths[i] = p.ID, p.FullPath
	}
	owners, names, created := make([]int64, len(listed)), make([]string, len(listed)), make([]int64, len(listed))
	for i, l := range listed {
		owners[i], names[i] = l.ProjectID, l.Name
		created[i] = max(0, l.CreatedAt.UnixMicro()) // the zero time is long before 1970
	}
	var standby bool
	var positions, oldAt pq.Int64Array
	var confirmed pq.BoolArray
	err := db.sql.QueryRowxContext(ctx, selectMissing, g.Run.ID, g.Run.Scan, g.Scan, pq.Array(ids), pq.Array(paths),
		pq.Array(owners), pq.Array(names), pq.Array(created), g.Start, g.Apart.Microseconds(), g.MinAge.Microseconds()).
		Scan(&standby, &positions, &confirmed, &oldAt)
	if err == nil && standby {
		err = ErrStandby
	}
	if err != nil {
		return nil, db.fault(ctx, "look for container repositories", err)
	}
	missing := make([]Missing, len(positions))
	for i, position := range positions {
		missing[i] = Missing{Listed: listed[position-1], Confirmed: confirmed[i]}
		if oldAt[i] > 0 {
			missing[i].OldAt = time.UnixMicro(oldAt[i]).UTC()
		}
	}
	return missing, nil
}
