package consumer

import (
	"context"

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
		if names, ok := missing[l.project.ID]; ok {
			results = append(results, v.completed(l, names))
		}
	}
	v.nameControl(ctx)
	v.failures, v.listings, v.names = nil, nil, 0
	v.kept = append(v.kept, results...)
	return v.putKept(ctx, v.state.Settings)
}

// missing returns for each listed project the names that have no row. Projects
// whose repositories could not be asked for their tags are not in it.
func (v *visit) missing(ctx context.Context) (map[int64][]string, error) {
	names := make(map[int64][]string, len(v.listings))
	var all []postgres.Listed
	listings := make(map[int64]*listing, len(v.listings))
	for _, l := range v.listings {
		names[l.project.ID] = nil
		listings[l.project.ID] = l
		all = append(all, listed(l.project, l.names)...)
	}
	rowless, err := v.withoutRow(ctx, all)
	if err == nil && !v.survey.NonEmpty() && len(rowless) > 0 {
		rowless, err = v.tagged(ctx, listings, names, rowless)
	}
	if err != nil {
		return nil, err
	}
	for _, r := range rowless {
		if _, ok := names[r.ProjectID]; ok {
			names[r.ProjectID] = append(names[r.ProjectID], r.Name)
		}
	}
	return names, nil
}

// tagged returns those of rowless that have a tag and, read after that, still
// no row, and notes the others in their listing. A project whose tags cannot be
// read is recorded as failed and taken out of names.
func (v *visit) tagged(ctx context.Context, listings map[int64]*listing, names map[int64][]string, rowless []postgres.Listed) ([]postgres.Listed, error) {
	var tagged []postgres.Listed
	for _, r := range rowless {
		l := listings[r.ProjectID]
		p := l.project
		if _, ok := names[r.ProjectID]; !ok {
			continue
		}
		ok, err := v.registry.Tagged(ctx, p.RepositoryPath(r.Name))
		switch {
		case err != nil:
			if err := v.explain(ctx, p, err); err != nil {
				return nil, err
			}
			delete(names, r.ProjectID)
		case ok:
			tagged = append(tagged, r)
		default:
			l.emptied = append(l.emptied, r.Name)
		}
	}
	return v.withoutRow(ctx, tagged)
}

// completed is the result of a listing that was read to its end.
func (v *visit) completed(l *listing, missing []string) gitlab.Result {
	r := v.result(l.project)
	r.Status, r.Evidence, r.Names = gitlab.Completed, l.evidence, l.nonEmpty()
	r.Missing = gitlab.NameSet(missing)
	return r
}
