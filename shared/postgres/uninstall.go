package postgres

import (
	"context"
	"fmt"

	"github.com/lib/pq"
	"github.com/lib/pq/pqerror"
)

// Tables go with their indexes, triggers and identity sequences, and all at once:
// they refer to each other. Functions are left for the end, as triggers call them.
const selectObjects = `
SELECT kind || string_agg(object, ', ' ORDER BY object)
FROM (
    SELECT CASE c.relkind WHEN 'v' THEN 1 WHEN 'S' THEN 3 ELSE 2 END AS turn,
           CASE c.relkind WHEN 'v' THEN 'VIEW ' WHEN 'S' THEN 'SEQUENCE ' ELSE 'TABLE ' END AS kind,
           format('regmend.%I', c.relname) AS object
    FROM pg_class c
    WHERE c.relnamespace = (SELECT oid FROM pg_namespace WHERE nspname = 'regmend')
      AND c.relkind IN ('r', 'p', 'v', 'S')
      AND NOT EXISTS (SELECT FROM pg_depend d
                      WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype IN ('a', 'i'))
    UNION ALL
    SELECT 4, 'FUNCTION ', format('regmend.%I(%s)', proname, pg_get_function_identity_arguments(oid))
    FROM pg_proc
    WHERE pronamespace = (SELECT oid FROM pg_namespace WHERE nspname = 'regmend')
) AS objects
GROUP BY turn, kind
ORDER BY turn`

// Uninstall drops the schema regmend and nothing else: where something outside
// depends on it, that is an error and nothing is dropped. It is no error if
// there is no such schema. Dropping the foreign key locks projects briefly; it
// is waited for as in Migrate.
func (db *DB) Uninstall(ctx context.Context) error {
	f, err := db.findings(ctx)
	if err != nil || !f.HasSchema {
		return err
	}
	var objects []string
	if err := db.sql.SelectContext(ctx, &objects, selectObjects); err != nil {
		return db.fault(ctx, "look for regmend's tables", err)
	}
	var statements []string
	for _, object := range objects {
		statements = append(statements, "DROP "+object+" RESTRICT")
	}
	statements = append(statements, "DROP SCHEMA regmend RESTRICT")
	err = db.underLock(ctx, MigrateOptions{}.withDefaults().Log, statements...)
	if pq.As(err, pqerror.InsufficientPrivilege) != nil {
		return fmt.Errorf("only the role that ran `regmend migrate`, or a superuser, may remove the schema: %w", err)
	}
	return err
}
