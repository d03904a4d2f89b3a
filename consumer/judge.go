package consumer

import (
	"context"
	"slices"
	"strings"
	"time"

	"regmend/shared/gitlab"
	"regmend/shared/postgres"
)

// judge decides what the listings mean, and stashes the results.
func (v *visit) judge(ctx context.Context) error {
	if err := v.proveListings(ctx); err != nil {
		return err
	}
	return v.judgeListings(ctx)
}

// proveListings returns nil if the listings are to be believed. If the last of
// them are empty, the registry first has to show that it still lists anything:
// one that lost everything a moment ago answers so, too.
func (v *visit) proveListings(ctx context.Context) error {
	if v.proven() == len(v.listings) {
		return nil
	}
	return v.prove(ctx, v.state, gitlab.Project{})
}

// judgeListings compares the listings with rows that are read after them, and
// stashes the results.
func (v *visit) judgeListings(ctx context.Context) error {
	missing, err := v.missing(ctx)
	if err != nil {
		return err
	}
	results := v.failures
	for _, l := range v.listings {
		if found, ok := missing[l.project.ID]; ok {
			results = append(results, v.outcome(l, found))
		}
	}
	v.nameControl(ctx)
	v.failures, v.listings, v.names = nil, nil, 0
	v.kept = append(v.kept, results...)
	return v.putKept(ctx, v.state.Settings)
}

// missing returns for each listed project what of it has no row. Projects whose
// repositories could not be asked for their tags are not in it.
func (v *visit) missing(ctx context.Context) (map[int64][]postgres.Missing, error) {
	found := make(map[int64][]postgres.Missing, len(v.listings))
	var all []postgres.Listed
	listings := make(map[int64]*listing, len(v.listings))
	for _, l := range v.listings {
		found[l.project.ID] = nil
		listings[l.project.ID] = l
		all = append(all, listed(l.project, l.found)...)
	}
	if !v.survey.NonEmpty() {
		var err error
		if all, err = v.tagged(ctx, listings, found, all); err != nil {
			return nil, err
		}
	}
	missing, err := v.db.Missing(ctx, v.glance(), all)
	if err != nil {
		return nil, databaseError{err}
	}
	for _, m := range missing {
		if _, ok := found[m.ProjectID]; ok {
			found[m.ProjectID] = append(found[m.ProjectID], m)
		}
	}
	return found, nil
}

// glance is this attempt as far as it says what looks before it confirm.
func (v *visit) glance() postgres.Glance {
	g := postgres.Glance{
		Run: v.state.Run, Scan: v.scan, Start: v.began,
		Apart: v.state.Settings.ConfirmAfter, MinAge: v.state.Settings.MinAge,
	}
	for _, l := range v.listings {
		g.Projects = append(g.Projects, l.project)
	}
	return g
}

// tagged returns those of all that have no row and have a tag; they may have a row
// by then. It notes the others that have none in their listing. A project whose tags
// cannot be read is recorded as failed and taken out of found.
func (v *visit) tagged(ctx context.Context, listings map[int64]*listing, found map[int64][]postgres.Missing, all []postgres.Listed) ([]postgres.Listed, error) {
	rowless, err := v.withoutRow(ctx, all)
	if err != nil {
		return nil, err
	}
	var tagged []postgres.Listed
	empty := false
	for _, r := range rowless {
		l := listings[r.ProjectID]
		p := l.project
		if _, ok := found[r.ProjectID]; !ok {
			continue
		}
		ok, err := v.registry.Tagged(ctx, p.RepositoryPath(r.Name))
		switch {
		case err != nil:
			if err := v.explain(ctx, p, err); err != nil {
				return nil, err
			}
			delete(found, r.ProjectID)
		case ok:
			tagged = append(tagged, r)
		default:
			empty, l.emptied = true, append(l.emptied, r.Name)
		}
	}
	if empty { // so answers a registry, too, that lost everything a moment ago
		err = v.prove(ctx, v.state, gitlab.Project{})
	}
	return tagged, err
}

// outcome is the result of a listing that was read to its end, and of which so
// much has no row. What was not missed before is to be looked at again; what was is
// counted, unless it is too young.
func (v *visit) outcome(l *listing, missing []postgres.Missing) gitlab.Result {
	r := v.result(l.project)
	r.Status, r.Evidence, r.Names = gitlab.Completed, l.evidence, l.nonEmpty()
	slices.SortFunc(missing, func(a, b postgres.Missing) int { return strings.Compare(a.Name, b.Name) })
	missing = slices.CompactFunc(missing, func(a, b postgres.Missing) bool { return a.Name == b.Name })
	if slices.ContainsFunc(missing, func(m postgres.Missing) bool { return !m.Confirmed }) {
		r.Status = gitlab.Looked
	}
	for _, m := range missing {
		if !m.CreatedAt.IsZero() {
			if r.Created == nil {
				r.Created = make(map[string]time.Time)
			}
			r.Created[m.Name] = m.CreatedAt
		}
		if m.OldAt.IsZero() || r.Status == gitlab.Looked {
			r.Missing = append(r.Missing, m.Name)
			continue
		}
		r.Young = append(r.Young, m.Name)
		if r.LookAgainAt.IsZero() || m.OldAt.Before(r.LookAgainAt) {
			r.LookAgainAt = m.OldAt
		}
	}
	return r
}
