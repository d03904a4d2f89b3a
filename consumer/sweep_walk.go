package consumer

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"regmend/shared/gitlab"
	"regmend/shared/postgres"
	"regmend/shared/registry"
)

const (
	// pageTries is how often in a row a page is read that the registry, though
	// it is well, does not give, and outageTries how often it may seem to be
	// away at one page and yet work again, before the sweep has failed.
	pageTries, outageTries = 5, 10
	// mostRepositories bounds what a sweep takes from the catalog, in Postgres as
	// well; more than anyone has, and a registry that lies must not fill it.
	mostRepositories = 20_000_000
	// walksAnew is how often one process begins a walk anew.
	walksAnew = 3
)

// pages walks on, under a slot, until the walk has ended.
func (w *sweep) pages(ctx context.Context, state postgres.State) error {
	if err := w.enter(ctx); err != nil {
		return err
	}
	for w.at.State == postgres.SweepWalking {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if err := w.marked(ctx, func(ctx context.Context) error { return w.page(ctx, state) }); err != nil {
			return err
		}
	}
	return nil
}

// enter begins this process's part of the walk.
func (w *sweep) enter(ctx context.Context) (err error) {
	if w.walk == nil {
		if w.walk, err = w.registry.CatalogWalk(ctx); err != nil {
			return w.registryFailed(ctx, err)
		}
	}
	return nil
}

// page reads one page, judges it and moves on.
func (w *sweep) page(ctx context.Context, state postgres.State) error {
	paths, next, err := w.walk.Page(ctx, w.at.Position)
	if err != nil {
		return w.explain(ctx, state, err)
	}
	if w.at.Repositories+int64(len(paths)) > mostRepositories {
		return w.fail(ctx, fmt.Sprintf("the catalog has more than %d repositories: is it telling the truth?", mostRepositories))
	}
	if next == "" {
		// What follows believes that the registry works.
		if err := w.prove(ctx, state, gitlab.Project{}); err != nil {
			return err
		}
	}
	pages := w.at.Pages
	after, err := w.db.SweepPage(ctx, w.at, paths, next)
	if err := w.moved(ctx, after, err); err != nil {
		return err
	}
	w.refused, w.outages = 0, 0
	w.cfg.Metrics.swept(w.at.Pages-pages, 0)
	return nil
}

// explain decides what the error of a page means. It returns nil after the sweep
// has failed or its walk began anew, else why the attempt has to end.
func (w *sweep) explain(ctx context.Context, state postgres.State, err error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if w.outages < outageTries && blame(err) == theRegistry {
		w.outages++
		w.log.WithError(err).Warn("the registry fails; the sweep waits for it")
		return w.mender.hold(ctx, err)
	}
	if err := w.prove(ctx, state, gitlab.Project{}); err != nil {
		return err
	}
	w.refused++
	switch {
	case blame(err) == theRegistry:
		return w.fail(ctx, fmt.Sprintf("at page %d of its catalog the registry failed again and again, and worked in between: %v", w.at.Pages+1, err))
	case errors.Is(err, registry.ErrNoCatalog):
		return w.fail(ctx, err.Error())
	case w.at.Position != "" && lost(err) && w.restarts < walksAnew:
		return w.anew(ctx, fmt.Sprintf("the walk began anew after page %d: %v", w.at.Pages, err))
	case w.refused >= pageTries:
		return w.fail(ctx, fmt.Sprintf("page %d of the catalog was asked for %d times: %v", w.at.Pages+1, w.refused, err))
	}
	return err
}

// lost tells whether err says that there is no page at the position, as against
// being unable to give it.
func lost(err error) bool {
	var answer *registry.Error
	return errors.Is(err, registry.ErrPosition) || errors.As(err, &answer) && answer.StatusCode == http.StatusBadRequest
}

// anew begins the walk anew.
func (w *sweep) anew(ctx context.Context, reason string) error {
	w.log.WithField("reason", reason).Warn("the walk through the catalog begins anew")
	w.walk, w.refused, w.outages = nil, 0, 0
	w.restarts++
	next, err := w.db.RestartWalk(ctx, w.at, reason)
	if err := w.moved(ctx, next, err); err != nil {
		return err
	}
	return w.raise(ctx, w.at.Scan)
}
