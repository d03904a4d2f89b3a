package cmd

import (
	"context"
	"fmt"

	"regmend/shared/postgres"
)

// catalogPage is how many repositories a page of the catalog has.
const catalogPage = 1000

// priceSweep prints what a sweep would cost, and changes nothing: a page of the
// catalog for each thousand repositories that GitLab knows. What the registry
// holds beside those comes on top, and a request for each candidate.
func (x *parts) priceSweep(ctx context.Context, db *postgres.DB, state postgres.State) error {
	m, err := x.meter()
	if err != nil {
		return err
	}
	if _, err := m.Probe(ctx); err != nil {
		return err
	}
	m.latency()
	if _, _, err := m.CatalogPage(ctx, ""); err != nil {
		return fmt.Errorf("the price cannot be told: %w", err)
	}
	p := rates(state)
	p.Latency, p.Slots = m.latency(), min(p.Slots, 1)
	known, err := db.Repositories(ctx)
	if err != nil {
		return err
	}
	counts, err := db.Counts(ctx, state.Run)
	if err != nil {
		return err
	}
	p.Projects, p.Requests = counts.Eligible, max(1, (known+catalogPage-1)/catalogPage)
	p.print(x.process.Stdout)
	fmt.Fprintln(x.process.Stderr, "regmend: nothing has begun; a request for each repository without a row comes on top")
	return nil
}
