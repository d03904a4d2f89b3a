package cmd

import (
	"context"
	"fmt"

	"regmend/shared/gitlab"
	"regmend/shared/postgres"
	"regmend/shared/registry"
)

// estimate adds up what the batches of an enqueuer would cost.
type estimate struct {
	db    *postgres.DB
	meter *meter
	price price
	pages int64 // of a walk through the catalog that serves a batch, where that is what lists
}

func (x *parts) newEstimate(db *postgres.DB, state postgres.State) (*estimate, error) {
	m, err := x.meter()
	if err != nil {
		return nil, err
	}
	return &estimate{db: db, meter: m, price: rates(state)}, nil
}

// add adds a batch. The first ones are used to measure. Without GitLab's API each
// batch takes a walk through the catalog, whose pages are only estimated.
func (e *estimate) add(ctx context.Context, ids []int64) error {
	projects, err := e.db.Paths(ctx, ids)
	if err != nil {
		return err
	}
	survey, err := e.meter.Survey(ctx, projects)
	if err == nil && e.pages == 0 && len(projects) > 0 {
		err = e.begin(ctx, survey, projects)
	}
	if err != nil {
		return fmt.Errorf("the price cannot be told: %w", err)
	}
	e.price.Projects += int64(len(ids))
	e.price.Requests += int64(survey.Requests()) * e.pages
	return nil
}

// begin measures.
func (e *estimate) begin(ctx context.Context, survey *registry.Survey, projects []gitlab.Project) (err error) {
	if survey.NonEmpty() {
		e.pages = 1
		err = e.meter.measure(ctx, projects)
	} else {
		var known int64
		if known, err = e.db.Repositories(ctx); err == nil {
			e.pages, err = e.meter.catalog(ctx, known)
		}
	}
	e.price.Latency = e.meter.latency()
	return err
}
