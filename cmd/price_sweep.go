package cmd

import (
	"context"
	"fmt"

	"regmend/shared/postgres"
	"regmend/shared/registry"
)

// priceSweep prints what a sweep would cost, and changes nothing: as many pages of
// the catalog as the repositories that GitLab knows fill. What the registry holds
// beside those comes on top, and a request for each candidate.
func (x *parts) priceSweep(ctx context.Context, db *postgres.DB, state postgres.State) error {
	m, err := x.meter()
	if err != nil {
		return err
	}
	known, err := db.Repositories(ctx)
	if err != nil {
		return err
	}
	counts, err := db.Counts(ctx, state.Run)
	if err != nil {
		return err
	}
	p := rates(state)
	p.Slots, p.Left, p.Projects = min(p.Slots, 1), 0, counts.Eligible
	p.Requests, err = m.walk(ctx, known)
	if err != nil {
		return fmt.Errorf("the price cannot be told: %w", err)
	}
	p.Latency = m.latency()
	p.print(x.process.Stdout)
	fmt.Fprintln(x.process.Stderr, "regmend: nothing has begun; a request for each repository without a row comes on top")
	return nil
}

// walk is how many requests a walk through a catalog of so many repositories takes,
// as registry.CatalogWalk says.
func (m *meter) walk(ctx context.Context, repositories int64) (requests int64, err error) {
	found, err := m.Probe(ctx)
	if err != nil {
		return 0, err
	}
	pages, err := m.catalog(ctx, repositories)
	if found.API == registry.Distribution {
		return 2 * pages, err
	}
	return pages + 1, err
}

// catalog reads the first page of the catalog, to measure, and tells how many pages
// it has if it has so many repositories.
func (m *meter) catalog(ctx context.Context, repositories int64) (pages int64, err error) {
	m.latency() // what was asked before is of another kind
	page, next, err := m.CatalogPage(ctx, "")
	size := int64(len(page))
	if next == "" || size == 0 {
		return 1, err
	}
	return max(2, (repositories+size-1)/size), err
}
