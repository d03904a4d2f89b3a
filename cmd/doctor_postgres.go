package cmd

import (
	"context"
	"strings"
	"time"

	"regmend/schema"
	"regmend/shared/postgres"
)

func (e *examination) postgres(ctx context.Context) []finding {
	const rest = "version, rights, schema and settings"
	if err := faultsOf(e.faults, database); err != nil {
		return []finding{fail("postgres", "correct the environment", "%v", err), unchecked("postgres", rest)}
	}
	db, err := e.database()
	if err != nil {
		return []finding{fail("postgres", "correct it", "%v", err), unchecked("postgres", rest)}
	}
	ctx, cancel := context.WithTimeout(ctx, examineWithin)
	defer cancel()
	in, err := db.Inspect(ctx)
	if err != nil {
		return []finding{
			fail("postgres", "check REGMEND_DATABASE_URL, and that Postgres runs", "cannot be worked with: %v", err),
			unchecked("postgres", rest),
		}
	}
	e.readings = append(e.readings, clock{Of: "postgres", Ahead: in.ClockAhead, Off: time.Second})
	schemaErr := db.CheckSchema(ctx, schema.Migrations)
	findings := judgePostgres(in, schemaErr)
	if schemaErr != nil || len(in.LacksRuntime) > 0 || len(in.LacksSelect) > 0 {
		return append(findings, unchecked("settings", "they"))
	}
	return append(findings, e.stored(ctx, db)...)
}

// stored reads what regmend's own tables say, and takes the witness's sample.
func (e *examination) stored(ctx context.Context, db *postgres.DB) []finding {
	state, err := db.State(ctx)
	if err != nil {
		return []finding{fail("settings", "mend what it says", "%v", err)}
	}
	sample, err := db.Sample(ctx, witnesses)
	if err != nil {
		return append(judgeSettings(state), fail("witness", "mend what it says", "%v", err))
	}
	e.state, e.sample = &state, sample
	return append(judgeSettings(state), contradictions(ctx, db), repairRights(ctx, db))
}

// repairRights tells what of a repair the role may do. That it may not is no fault:
// scanning does without.
func repairRights(ctx context.Context, db *postgres.DB) finding {
	const subject = "repair rights"
	r, err := db.RepairRights(ctx)
	if err != nil {
		return fail(subject, "mend what it says", "%v", err)
	}
	differences, err := db.Fingerprint(ctx)
	if err != nil {
		return fail(subject, "mend what it says", "%v", err)
	}
	return judgeRepair(r, differences)
}

func judgeRepair(r postgres.RepairRights, differences []string) finding {
	const subject, grant = "repair rights", "to put rows back grant it: schema/roles/repair.sql; without it, apply --via gitlab"
	var lacks []string
	for _, right := range []struct {
		has  bool
		what string
	}{
		{r.MayInsert, "INSERT on container_repositories"},
		{r.MayUseIDs, "USAGE on its sequence"},
		{r.MayDelete, "DELETE on it (undo)"},
	} {
		if !right.has {
			lacks = append(lacks, right.what)
		}
	}
	switch {
	case len(r.LacksColumns) > 0:
		return warn(subject, "for repairs use a regmend made for this version of GitLab", "GitLab's tables lack %s", strings.Join(r.LacksColumns, ", "))
	case len(r.LacksSelect) > 0:
		return warn(subject, "to plan repairs grant it: schema/roles/runtime.sql", "role %s may not read %s", r.Role, strings.Join(r.LacksSelect, ", "))
	case len(differences) > 0:
		return warn(subject, "for repairs use a regmend made for this version of GitLab, or apply --via gitlab",
			"container_repositories is not the table that this program knows: %s", strings.Join(differences, "; "))
	case len(lacks) > 0:
		return ok(subject, "role %s may plan, but lacks %s; %s", r.Role, strings.Join(lacks, ", "), grant)
	default:
		return ok(subject, "role %s may plan, apply and undo", r.Role)
	}
}

// judgePostgres judges what was found; schemaErr is why regmend's schema is not
// the one this program needs.
func judgePostgres(in postgres.Inspection, schemaErr error) []finding {
	findings := []finding{judgePostgresVersion(in), judgePrimary(in), judgeDatabase(in)}
	if !in.HasProjects {
		return append(findings, unchecked("postgres rights", "without GitLab's tables they"))
	}
	findings = append(findings, judgeReading(in), judgeSchema(in, schemaErr))
	if in.HasSchema {
		findings = append(findings, judgeRuntime(in), judgeBackup(in), judgeForeignKey(in))
	}
	return append(findings, judgePooling(in))
}

// oldestPostgres knows all that the statements use.
const oldestPostgres = 12

func judgePostgresVersion(in postgres.Inspection) finding {
	const subject = "postgres version"
	if in.ServerVersionNum < oldestPostgres*10_000 {
		return fail(subject, "upgrade Postgres", "%s; regmend needs %d", in.ServerVersion, oldestPostgres)
	}
	return ok(subject, "%s", in.ServerVersion)
}

func judgePrimary(in postgres.Inspection) finding {
	const subject = "postgres primary"
	if in.Standby {
		return fail(subject, "name the primary in REGMEND_DATABASE_URL", "this is a standby, whose rows may be behind")
	}
	return ok(subject, "yes")
}

func judgeDatabase(in postgres.Inspection) finding {
	const subject = "postgres database"
	switch {
	case !in.HasProjects:
		return fail(subject, "name GitLab's main database in REGMEND_DATABASE_URL (Omnibus: gitlabhq_production)",
			"%s has no table public.projects", in.Database)
	case !in.AnyProjects && len(in.LacksSelect) == 0:
		return fail(subject, "name GitLab's main database, not its CI database", "projects in %s is empty", in.Database)
	case len(in.LacksColumns) > 0:
		return fail(subject, "use a regmend made for this version of GitLab", "%s lacks %s", in.Database, strings.Join(in.LacksColumns, ", "))
	case in.Encoding != "UTF8":
		return warn(subject, "", "%s has the encoding %s instead of UTF8", in.Database, in.Encoding)
	case in.ProjectsEstimate < 0:
		return ok(subject, "%s", in.Database)
	default:
		return ok(subject, "%s, about %s projects", in.Database, thousands(in.ProjectsEstimate))
	}
}

func judgeReading(in postgres.Inspection) finding {
	const subject = "postgres reading"
	switch {
	case len(in.LacksSelect) > 0 && !in.HasSchema && in.MayCreateSchema:
		return warn(subject, "after regmend migrate run doctor again, as the role of schema/roles/runtime.sql",
			"role %s may create regmend's schema, but not read %s", in.Role, strings.Join(in.LacksSelect, ", "))
	case len(in.LacksSelect) > 0:
		return fail(subject, "run doctor as the role that runs producer and consumer; if this is it, grant it: schema/roles/runtime.sql",
			"role %s may not read %s", in.Role, strings.Join(in.LacksSelect, ", "))
	case in.LacksLowerPathIndex:
		return warn(subject, "look whether GitLab's index on lower(path) of routes was lost",
			"role %s may read GitLab's tables, but full paths are looked up without an index", in.Role)
	default:
		return ok(subject, "role %s may read GitLab's tables", in.Role)
	}
}

func judgeSchema(in postgres.Inspection, schemaErr error) finding {
	const subject = "postgres schema"
	switch {
	case schemaErr == nil:
		return ok(subject, "regmend, version %d", in.Version)
	case !in.HasSchema && !in.MayCreateSchema:
		return fail(subject, "grant that with schema/roles/owner.sql, then run regmend migrate",
			"there is no schema regmend, and role %s may not create it", in.Role)
	default:
		return fail(subject, "", "%v", schemaErr)
	}
}

func judgeRuntime(in postgres.Inspection) finding {
	const subject = "postgres rights"
	switch {
	case len(in.LacksRuntime) > 0:
		return fail(subject, "grant it: schema/roles/runtime.sql", "role %s lacks %s", in.Role, strings.Join(in.LacksRuntime, ", "))
	case in.Superuser:
		return warn(subject, "run producers and consumers as the role of schema/roles/runtime.sql", "role %s is a superuser", in.Role)
	default:
		return ok(subject, "role %s may do what is needed", in.Role)
	}
}

func judgeBackup(in postgres.Inspection) finding {
	const subject = "gitlab backup"
	if len(in.OwnerLacks) > 0 {
		return fail(subject, "regmend migrate, which grants it", "role %s, as which GitLab backs up, may not read %s: the backup fails",
			in.ProjectsOwner, strings.Join(in.OwnerLacks, ", "))
	}
	return ok(subject, "role %s may read regmend's schema", in.ProjectsOwner)
}

func judgeForeignKey(in postgres.Inspection) finding {
	const subject = "foreign key"
	switch {
	case !in.ForeignKey:
		return ok(subject, "left out; the producer removes results of deleted projects")
	case !in.ForeignKeyValid:
		return warn(subject, "regmend migrate", "to projects, but not validated yet")
	default:
		return ok(subject, "to projects; before a GitLab upgrade it can be removed: regmend migrate --no-foreign-key")
	}
}

func judgePooling(in postgres.Inspection) finding {
	const subject = "postgres pooler"
	switch in.Pooling {
	case postgres.PoolingTransaction:
		return ok(subject, "one that pools transactions, which is fine")
	case postgres.PoolingNone:
		return ok(subject, "none, or one that pools sessions")
	default:
		return unchecked(subject, "its mode")
	}
}

// judgeSettings tells of settings that keep work from being done.
func judgeSettings(state postgres.State) []finding {
	s := state.Settings
	findings := []finding{ok("setting scan_enabled", "%t", s.ScanEnabled)}
	if s.MaxConcurrency == 0 {
		findings = append(findings, warn("setting max_concurrency", "regmend settings set max_concurrency 2", "0: nothing is scanned"))
	} else {
		findings = append(findings, ok("setting max_concurrency", "%s at once", counted(s.MaxConcurrency, "scan", "scans")))
	}
	if len(s.Scope) > 0 {
		findings = append(findings, warn("setting scope", "regmend settings set scope '' for all projects",
			"the producer keeps to %s", strings.Join(s.Scope, ", ")))
	}
	return append(findings, judgeKindness(state, time.Now())...)
}
