package consumer

import (
	"context"

	"regmend/shared/gitlab"
	"regmend/shared/postgres"
)

// doubt looks for what GitLab knew before the walk and the catalog does not have.
// A catalog that shows only what somebody may see, or that lost half of it, is
// otherwise as well-formed as any: one that lacks a repository with tags fails
// the sweep.
func (w *sweep) doubt(ctx context.Context, state postgres.State) error {
	absent, err := w.db.SweepAbsent(ctx, w.at)
	if err != nil || len(absent) == 0 {
		return w.moved(ctx, w.at, err)
	}
	return w.underSlot(ctx, func(ctx context.Context) error {
		return w.marked(ctx, func(ctx context.Context) error { return w.lookFor(ctx, state, absent) })
	})
}

func (w *sweep) lookFor(ctx context.Context, state postgres.State, absent []postgres.Candidate) error {
	for _, c := range absent {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		tagged, err := w.registry.Tagged(ctx, path(c))
		if err != nil {
			if err := w.excuse(ctx, state, c, err); err != nil {
				return err
			}
		}
		if tagged {
			return w.fail(ctx, "the catalog is not whole: it lacks "+path(c)+", which has tags")
		}
	}
	return w.prove(ctx, state, gitlab.Project{})
}
