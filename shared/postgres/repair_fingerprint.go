package postgres

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/jmoiron/sqlx"
)

// What is known of container_repositories, in the words of selectFingerprint: GitLab
// 17 to 18. A default that fills in something else, a constraint, a unique index or
// a trigger that is not among it could make an insert mean more than is known here.
var knownTable = []string{
	"table: ordinary, without row security, rules, inheritance or partitions",
	"column created_at: timestamp without time zone not null",
	"column delete_started_at: timestamp with time zone",
	"column expiration_policy_cleanup_status: smallint not null default 0",
	"column expiration_policy_completed_at: timestamp with time zone",
	"column expiration_policy_started_at: timestamp with time zone",
	"column failed_deletion_count: integer not null default 0",
	"column id: bigint not null default nextval('container_repositories_id_seq'::regclass)",
	"column last_cleanup_deleted_tags_count: integer",
	"column name: character varying not null",
	"column next_delete_attempt_at: timestamp with time zone",
	"column project_id: bigint not null",
	"column status: smallint",
	"column status_updated_at: timestamp with time zone",
	"column updated_at: timestamp without time zone not null",
	"constraint check_container_repositories_non_negative_failed_deletion_count: CHECK ((failed_deletion_count >= 0))",
	"constraint container_repositories_pkey: PRIMARY KEY (id)",
	"constraint fk_rails_32f7bf5aad: FOREIGN KEY (project_id) REFERENCES projects(id)",
	"unique index container_repositories_pkey: (id)",
	"unique index index_container_repositories_on_project_id_and_name: (project_id, name)",
}

// Definitions name tables with or without their schema, as the search path has it;
// here without. Constraint names that Postgres gives to NOT NULL since version 18 say
// nothing new.
const selectFingerprint = `
WITH t AS (SELECT * FROM pg_class WHERE oid = to_regclass('public.container_repositories'))
SELECT replace(line, 'public.', '') FROM (
    SELECT 'table: ' || CASE WHEN t.relkind = 'r' AND NOT t.relrowsecurity AND NOT t.relispartition
                              AND NOT EXISTS (SELECT FROM pg_rewrite WHERE ev_class = t.oid)
                              AND NOT EXISTS (SELECT FROM pg_inherits WHERE t.oid IN (inhrelid, inhparent))
                        THEN 'ordinary, without row security, rules, inheritance or partitions'
                        ELSE 'of kind ' || t.relkind::text || ', or with row security, rules, inheritance or partitions' END AS line
    FROM t
    UNION ALL
    SELECT 'column ' || a.attname || ': ' || format_type(a.atttypid, a.atttypmod)
           || CASE WHEN a.attnotnull THEN ' not null' ELSE '' END
           || CASE WHEN a.attidentity <> '' THEN ' identity' ELSE '' END
           || CASE WHEN a.attgenerated <> '' THEN ' generated' ELSE '' END
           || coalesce(' default ' || pg_get_expr(d.adbin, d.adrelid), '')
    FROM t
    JOIN pg_attribute a ON a.attrelid = t.oid AND a.attnum > 0 AND NOT a.attisdropped
    LEFT JOIN pg_attrdef d ON d.adrelid = t.oid AND d.adnum = a.attnum
    UNION ALL
    SELECT 'constraint ' || c.conname || ': ' || pg_get_constraintdef(c.oid)
    FROM t
    JOIN pg_constraint c ON c.conrelid = t.oid AND c.contype NOT IN ('n', 't')
    UNION ALL
    SELECT 'unique index ' || i.relname || ': ' || substring(pg_get_indexdef(x.indexrelid) FROM 'USING btree (.*)$')
           || CASE WHEN x.indisvalid AND x.indisready AND x.indimmediate THEN '' ELSE ' not in force' END
    FROM t
    JOIN pg_index x ON x.indrelid = t.oid AND x.indisunique
    JOIN pg_class i ON i.oid = x.indexrelid
    UNION ALL
    SELECT 'trigger ' || g.tgname || ': ' || pg_get_triggerdef(g.oid) || ' (' || g.tgenabled::text || ')'
    FROM t
    JOIN pg_trigger g ON g.tgrelid = t.oid AND NOT g.tgisinternal
) AS lines`

// Fingerprint tells in what container_repositories differs from what is known of
// it; nothing if it does not.
func (db *DB) Fingerprint(ctx context.Context) ([]string, error) {
	ctx, cancel := briefly(ctx)
	defer cancel()
	differences, err := fingerprint(ctx, db.sql)
	return differences, db.fault(ctx, "look at container_repositories", err)
}

func fingerprint(ctx context.Context, q sqlx.QueryerContext) ([]string, error) {
	var found []string
	if err := sqlx.SelectContext(ctx, q, &found, selectFingerprint); err != nil {
		return nil, err
	}
	var differences []string
	for _, line := range found {
		if !slices.Contains(knownTable, line) {
			differences = append(differences, "unknown: "+line)
		}
	}
	for _, line := range knownTable {
		if !slices.Contains(found, line) {
			differences = append(differences, "lacking: "+line)
		}
	}
	slices.Sort(differences)
	return differences, nil
}

// sameTable is an error unless container_repositories is what is known of it.
func sameTable(ctx context.Context, tx *sqlx.Tx) error {
	differences, err := fingerprint(ctx, tx)
	if err != nil || len(differences) == 0 {
		return err
	}
	return &CannotRepairError{Reason: fmt.Sprintf("container_repositories is not the table that this program knows: %s", strings.Join(differences, "; "))}
}
