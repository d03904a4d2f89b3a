package postgres

// Each project, route and result is looked up by itself, which LATERAL with LIMIT
// or an aggregate keeps the planner to: as plain joins it may read whole tables for
// a batch, up to some ten thousands of projects.

// alive joins to a row found its project p, which is not about to be deleted.
const alive = `CROSS JOIN LATERAL (SELECT id FROM public.projects
	WHERE id = found.project_id AND pending_delete IS NOT TRUE LIMIT 1) AS p`

// routed joins to a project p its route r, whose path is NULL where it has none.
// min: a GitLab that lost its unique index has some twice.
const routed = `LEFT JOIN LATERAL (SELECT min(path) AS path FROM public.routes
	WHERE source_type = 'Project' AND source_id = p.id) AS r ON true`

// Fragments of statements about a row d of regmend.data_repair_details. Where
// they are used, $1 is the ID of the run worked for and $2 the scan number it
// began with. None is ever NULL, not even where d is the empty side of a join.
const (
	// trusted: d says something of its project that can be believed: of this
	// run, and completed with its evidence or failed with its reason and next
	// try. The table's constraints demand that too, but a damaged table must
	// not make a project look analysed.
	trusted = `coalesce(d.run_id = $1 AND d.scan_number > $2 AND CASE d.status
		WHEN 'completed' THEN d.full_path <> '' AND d.method <> '' AND d.pages > 0 AND d.listed >= d.missing_count
		WHEN 'failed' THEN d.error <> '' AND d.next_attempt_at IS NOT NULL AND d.failure_scan_number IS NOT NULL
		END, false)`

	// due: a failure of d is to be tried again now.
	due = `coalesce(d.next_attempt_at <= now(), false)`

	// again: a repository that was too young to be counted no longer is.
	again = `coalesce(d.look_again_at <= now(), false)`

	// looked: the row l of regmend.looks is a look of this run at the project of d,
	// and no result came after it.
	looked = `coalesce(l.run_id = $1 AND l.scan_number > $2
		AND NOT (` + trusted + ` AND greatest(d.scan_number, d.failure_scan_number) >= l.scan_number), false)`

	// wanted: the project of d and l is to be scanned; after a look no sooner than
	// c.confirm_after.
	wanted = `(CASE WHEN ` + looked + ` THEN l.looked_at <= now() - c.confirm_after
		ELSE NOT ` + trusted + ` OR ` + due + ` OR ` + again + ` END)`

	// backoff: how long after failure number tries the next try is: a minute,
	// doubling up to a day, times 0.5 to 1.5.
	backoff = `least(interval '1 day', interval '1 minute' * power(2, least(tries, 12) - 1)) * (0.5 + random())`
)
