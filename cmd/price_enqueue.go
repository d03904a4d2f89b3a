package cmd

import (
	"context"
	"fmt"

	"regmend/shared/postgres"
)

// estimate adds up what the batches of an enqueuer would cost.
type estimate struct {
	db    *postgres.DB
	meter *meter
	price price
}

func (x *parts) newEstimate(db *postgres.DB, state postgres.State) (*estimate, error) {
	m, err := x.meter()
	if err != nil {
		return nil, err
	}
	return &estimate{db: db, meter: m, price: rates(state)}, nil
}

// add adds a batch. The first ones are used to measure.
func (e *estimate) add(ctx context.Context, ids []int64) error {
	projects, err := e.db.Paths(ctx, ids)
	if err != nil {
		return err
	}
	survey, err := e.meter.Survey(ctx, projects)
	if err == nil && e.price.Latency == 0 && len(projects) > 0 {
		err = e.meter.measure(ctx, projects)
		e.price.Latency = e.meter.latency()
	}
	if err != nil {
		return fmt.Errorf("the price cannot be told: %w", err)
	}
	e.price.Projects += int64(len(ids))
	e.price.Requests += int64(survey.Requests())
	return nil
}
