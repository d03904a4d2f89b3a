package postgres

// validContainerPath tells of a path what gitlab.ValidContainerPath does.
const validContainerPath = `(length(path.text) <= 255
	AND path.text ~ '^[a-z0-9]+(([._/]|__|-*)[a-z0-9])*$'
	AND cardinality(path.parts) BETWEEN 2 AND 19)`

// judgedItem joins to an item i (project_id, name, full_path, created_at) what
// speaks against restoring it, as judged.refusals, and whether it has a row, as
// judged.has_row. Everything is looked up by itself, as in trust.go.
const judgedItem = `
LEFT JOIN LATERAL (SELECT id, created_at AT TIME ZONE 'utc' AS created_at, pending_delete, marked_for_deletion_at
                   FROM public.projects WHERE id = i.project_id LIMIT 1) AS p ON true
` + routed + `
LEFT JOIN LATERAL (SELECT max(container_registry_access_level) AS level
                   FROM public.project_features WHERE project_id = p.id) AS f ON true
LEFT JOIN LATERAL (SELECT bool_or(enabled) AS enabled
                   FROM public.container_expiration_policies WHERE project_id = p.id) AS e ON true
CROSS JOIN LATERAL (SELECT text, string_to_array(text, '/') AS parts
                    FROM (SELECT lower(i.full_path) || CASE WHEN i.name = '' THEN '' ELSE '/' || i.name END AS text) AS t) AS path
CROSS JOIN LATERAL (SELECT count(*) > 0 AS redirects FROM public.redirect_routes o
                    WHERE lower(o.path) = ANY (ARRAY(SELECT array_to_string(path.parts[1:n], '/')
                                                     FROM generate_subscripts(path.parts, 1) AS n))
                      AND o.source_type = 'Project' AND o.source_id <> i.project_id) AS other
CROSS JOIN LATERAL (SELECT count(*) > 0 AS has_row FROM public.container_repositories c
                    WHERE c.project_id = i.project_id AND c.name = i.name) AS present
CROSS JOIN LATERAL (SELECT present.has_row, array_remove(ARRAY[
    CASE WHEN p.id IS NULL THEN 'no-project' END,
    CASE WHEN p.id IS NOT NULL AND r.path IS DISTINCT FROM i.full_path THEN 'renamed' END,
    CASE WHEN NOT ` + validContainerPath + ` THEN 'invalid-path' END,
    CASE WHEN p.pending_delete THEN 'pending-delete' END,
    CASE WHEN p.marked_for_deletion_at IS NOT NULL THEN 'marked-for-deletion' END,
    CASE WHEN p.id IS NOT NULL AND coalesce(f.level, 0) = 0 THEN 'registry-disabled' END,
    CASE WHEN e.enabled THEN 'cleanup-policy' END,
    CASE WHEN i.created_at < p.created_at OR other.redirects THEN 'reused-path' END,
    CASE WHEN i.created_at IS NULL OR p.created_at IS NULL THEN 'unknown-age' END
], NULL) AS refusals) AS judged`

// citedByRepair: an unfinished repair, or one that can be undone, cites the version v
// of regmend.snapshots.
const citedByRepair = `EXISTS (
	SELECT FROM regmend.repair_items i
	JOIN regmend.repair_plans p ON p.id = i.plan_id
	WHERE i.project_id = v.project_id AND i.snapshot = v.number
	  AND (i.state IN ('applied', 'kept')
	       OR i.state IN ('open', 'failed') AND p.state <> 'undoing' AND p.run_id = (SELECT max(id) FROM regmend.runs)))`
