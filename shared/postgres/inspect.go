package postgres

import (
	"context"
	"time"

	"github.com/lib/pq"
)

// Inspection is what can be seen of the database: facts, no judgement.
type Inspection struct {
	ServerVersion    string `db:"server_version"`     // such as 16.4
	ServerVersionNum int    `db:"server_version_num"` // such as 160004
	Database         string `db:"database"`
	Role             string `db:"role"`
	Superuser        bool   `db:"superuser"`
	Standby          bool   `db:"standby"`
	Encoding         string `db:"encoding"`
	Collation        string `db:"collation"`
	SystemID         string `db:"system_identifier"`

	HasProjects bool `db:"-"`
	// AnyProjects is false in GitLab's CI database too, where projects is
	// empty. ProjectsEstimate is the planner's figure, -1 if it has none.
	AnyProjects      bool  `db:"-"`
	ProjectsEstimate int64 `db:"projects_estimate"`
	// LacksColumns are tables and columns of GitLab's that regmend needs and
	// that are not there, such as routes.path.
	LacksColumns []string `db:"-"`
	// LacksLowerPathIndex: looking up full paths reads the whole of routes.
	LacksLowerPathIndex bool `db:"lacks_lower_path_index"`

	HasSchema bool  `db:"-"`
	Version   int64 `db:"-"` // of the schema; CheckSchema says whether it will do

	// Rights of Role.
	MayCreateSchema bool     `db:"may_create_schema"`
	LacksSelect     []string `db:"-"`             // GitLab's tables it must read and may not
	LacksRuntime    []string `db:"-"`             // what of regmend's schema it may not do that the runtime does
	MayReference    bool     `db:"may_reference"` // projects, for the foreign key

	ProjectsOwner string `db:"projects_owner"`
	// OwnerLacks are the parts of regmend's schema that the owner of projects
	// may not read: with any, GitLab's backup fails.
	OwnerLacks []string `db:"-"`

	ForeignKey      bool `db:"-"`
	ForeignKeyValid bool `db:"-"`

	Pooling Pooling `db:"-"`
	// ClockAhead is by how much the server's clock is ahead of ours; half a
	// round trip is its error.
	ClockAhead time.Duration `db:"-"`
}

const selectServer = `
SELECT current_setting('server_version') AS server_version,
       current_setting('server_version_num')::int AS server_version_num,
       db.datname AS database, current_user AS role,
       (SELECT rolsuper FROM pg_roles WHERE rolname = current_user) AS superuser,
       pg_is_in_recovery() AS standby,
       pg_encoding_to_char(db.encoding) AS encoding,
       db.datcollate AS collation,
       (SELECT system_identifier::text FROM pg_control_system()) AS system_identifier,
       coalesce(projects.reltuples::bigint, -1) AS projects_estimate,
       coalesce(pg_get_userbyid(projects.relowner), '') AS projects_owner,
       coalesce(has_table_privilege(projects.oid, 'REFERENCES'), false) AS may_reference,
       has_database_privilege(db.oid, 'CREATE') AS may_create_schema,
       NOT EXISTS (SELECT FROM pg_index i
                   WHERE i.indrelid = routes.oid AND pg_get_expr(i.indexprs, i.indrelid) LIKE 'lower((path)%') AS lacks_lower_path_index
FROM pg_database db
LEFT JOIN pg_class projects ON projects.oid = to_regclass('public.projects')
LEFT JOIN pg_class routes ON routes.oid = to_regclass('public.routes')
WHERE db.datname = current_database()`

// needed are the columns of GitLab's that the statements of this package read.
const needed = `(VALUES
    ('projects', 'id'), ('projects', 'pending_delete'),
    ('routes', 'source_id'), ('routes', 'source_type'), ('routes', 'path'),
    ('container_repositories', 'id'), ('container_repositories', 'project_id'),
    ('container_repositories', 'name'), ('container_repositories', 'status')
) AS needed (name, col)`

const (
	selectLackedColumns = `
SELECT needed.name || '.' || needed.col
FROM ` + needed + `
WHERE NOT EXISTS (SELECT FROM pg_attribute a
                  WHERE a.attrelid = to_regclass('public.' || needed.name) AND a.attname = needed.col
                    AND a.attnum > 0 AND NOT a.attisdropped)`

	selectLackedSelect = `
SELECT DISTINCT 'public.' || needed.name
FROM ` + needed + `
WHERE NOT has_table_privilege(to_regclass('public.' || needed.name), 'SELECT')`

	selectOwnerLacks = `
SELECT coalesce(array_agg('regmend.' || c.relname ORDER BY c.relname), '{}')
FROM pg_namespace n
JOIN pg_class c ON c.relnamespace = n.oid AND c.relkind IN ('r', 'p', 'v', 'S')
CROSS JOIN (SELECT relowner AS oid FROM pg_class WHERE oid = to_regclass('public.projects')) AS owner
WHERE n.nspname = 'regmend'
  AND NOT (has_schema_privilege(owner.oid, n.oid, 'USAGE')
           AND CASE c.relkind WHEN 'S' THEN has_sequence_privilege(owner.oid, c.oid, 'SELECT')
                              ELSE has_table_privilege(owner.oid, c.oid, 'SELECT') END)`

	// What runtime.sql grants.
	selectLackedRuntime = `
SELECT needed.privilege || ' on regmend.' || needed.name
FROM (VALUES
    ('data_repair_details', 'SELECT'), ('data_repair_details', 'INSERT'), ('data_repair_details', 'UPDATE'), ('data_repair_details', 'DELETE'),
    ('missing_repositories', 'SELECT'), ('missing_repositories', 'INSERT'), ('missing_repositories', 'DELETE'),
    ('snapshots', 'SELECT'), ('snapshots', 'INSERT'), ('snapshots', 'UPDATE'), ('snapshots', 'DELETE'),
    ('snapshot_contents', 'SELECT'), ('snapshot_contents', 'INSERT'), ('snapshot_contents', 'DELETE'),
    ('shrinkage', 'SELECT'), ('shrinkage', 'INSERT'), ('shrinkage', 'UPDATE'),
    ('brake_steps', 'SELECT'), ('brake_steps', 'INSERT'), ('brake_steps', 'DELETE'),
    ('runs', 'SELECT'), ('runs', 'INSERT'),
    ('settings', 'SELECT'), ('settings', 'INSERT'), ('settings', 'UPDATE'),
    ('settings_history', 'SELECT'), ('settings_history', 'INSERT'),
    ('scan_number', 'SELECT'), ('scan_number', 'USAGE'), ('scan_number', 'UPDATE'),
    ('sweeps', 'SELECT'), ('sweeps', 'INSERT'), ('sweeps', 'UPDATE'),
    ('sweep_projects', 'SELECT'), ('sweep_projects', 'INSERT'), ('sweep_projects', 'UPDATE'), ('sweep_projects', 'DELETE'),
    ('sweep_candidates', 'SELECT'), ('sweep_candidates', 'INSERT'), ('sweep_candidates', 'UPDATE'), ('sweep_candidates', 'DELETE'),
    ('sweep_sample', 'SELECT'), ('sweep_sample', 'INSERT'), ('sweep_sample', 'UPDATE'), ('sweep_sample', 'DELETE'),
    ('unowned_repositories', 'SELECT'), ('unowned_repositories', 'INSERT'), ('unowned_repositories', 'DELETE'),
    ('repair_plans', 'SELECT'), ('repair_plans', 'INSERT'), ('repair_plans', 'UPDATE'),
    ('repair_items', 'SELECT'), ('repair_items', 'INSERT'), ('repair_items', 'UPDATE'),
    ('repair_audit', 'SELECT'), ('repair_audit', 'INSERT')
) AS needed (name, privilege)
JOIN pg_namespace n ON n.nspname = 'regmend'
JOIN pg_class c ON c.relnamespace = n.oid AND c.relname = needed.name
WHERE NOT (has_schema_privilege(n.oid, 'USAGE')
           AND CASE c.relkind WHEN 'S' THEN has_sequence_privilege(c.oid, needed.privilege)
                              ELSE has_table_privilege(c.oid, needed.privilege) END)`
)

// Inspect looks at everything that regmend needs of the database, changing
// nothing.
func (db *DB) Inspect(ctx context.Context) (Inspection, error) {
	var i Inspection
	if err := db.sql.GetContext(ctx, &i, selectServer); err != nil {
		return i, db.fault(ctx, "inspect the database", err)
	}
	for _, look := range []func(context.Context, *Inspection) error{
		db.inspectTables, db.inspectForeignKey, db.inspectClock,
	} {
		if err := look(ctx, &i); err != nil {
			return i, db.fault(ctx, "inspect the database", err)
		}
	}
	i.Pooling = db.pooling(ctx)
	return i, nil
}

func (db *DB) inspectTables(ctx context.Context, i *Inspection) error {
	f, err := db.findings(ctx)
	if err != nil {
		return err
	}
	i.HasProjects, i.AnyProjects, i.HasSchema, i.Version = f.HasProjects, f.AnyProjects, f.HasSchema, f.Version
	for statement, into := range map[string]*[]string{
		selectLackedColumns: &i.LacksColumns,
		selectLackedSelect:  &i.LacksSelect,
		selectLackedRuntime: &i.LacksRuntime,
	} {
		if err := db.sql.SelectContext(ctx, into, statement); err != nil {
			return err
		}
	}
	var lacks pq.StringArray
	err = db.sql.GetContext(ctx, &lacks, selectOwnerLacks)
	i.OwnerLacks = lacks
	return err
}

func (db *DB) inspectForeignKey(ctx context.Context, i *Inspection) (err error) {
	i.ForeignKey, i.ForeignKeyValid, err = db.foreignKey(ctx)
	return err
}

func (db *DB) inspectClock(ctx context.Context, i *Inspection) error {
	var there time.Time
	began := time.Now()
	if err := db.sql.GetContext(ctx, &there, `SELECT clock_timestamp()`); err != nil {
		return err
	}
	i.ClockAhead = there.Sub(began.Add(time.Since(began) / 2))
	return nil
}
