package cmd

import (
	"context"
	"strings"

	"regmend/shared/postgres"
	"regmend/shared/registry"
)

// contradictions tells where a sweep showed that a listing was wrong.
func contradictions(ctx context.Context, db *postgres.DB) finding {
	found, total, err := db.Contradictions(ctx, 1)
	if err != nil {
		return fail("contradictions", "mend what it says", "%v", err)
	}
	return judgeContradictions(found, total)
}

func judgeContradictions(found []postgres.Contradiction, total int) finding {
	const subject = "contradictions"
	if total == 0 {
		return ok(subject, "no sweep contradicted a listing")
	}
	return warn(subject, "nothing to mend: tags decided, and the results are right; the registry's listing was not",
		"a sweep contradicted the listings of %s, such as of %s: %s",
		counted(total, "project", "projects"), found[0].Project.FullPath, found[0].Text)
}

// judgeStrategy tells whether what the setting asks for can be done.
func judgeStrategy(s postgres.Settings, in registry.Inspection) finding {
	const subject = "setting strategy"
	switch {
	case s.Strategy == postgres.StrategyProject:
		return ok(subject, "each project is scanned")
	case len(s.Scope) > 0:
		return warn(subject, "regmend settings set scope '' for all projects", "%s, but no sweep begins while the producer keeps to %s",
			s.Strategy, strings.Join(s.Scope, ", "))
	case !in.Catalog.Granted:
		return warn(subject, "grant it, or regmend settings set strategy project",
			"%s, but %s may not read the catalog, so each project is scanned: %s", s.Strategy, credentialsText(in), in.Catalog.Reason)
	default:
		return ok(subject, "%s, and %s may read the catalog", s.Strategy, credentialsText(in))
	}
}
