package consumer

import (
	"context"
	"fmt"

	"regmend/shared/gitlab"
	"regmend/shared/postgres"
)

// belief is what speaks for or against a catalog that was walked to its end: a
// sample of the container repositories that GitLab knew before the walk, and
// which of them the catalog had. A catalog that shows only what somebody may see,
// or that lost half of it, is otherwise as well-formed as any.
type belief struct {
	sampled map[string]bool // by path: seen
	seen    int
}

func (w *sweep) newBelief(ctx context.Context) (*belief, error) {
	sample, err := w.db.Sample(ctx, witnessSample)
	if err != nil {
		return nil, ours(ctx, err)
	}
	b := &belief{sampled: make(map[string]bool, len(sample))}
	for _, s := range sample {
		b.sampled[s.Project.RepositoryPath(s.Name)] = false
	}
	return b, nil
}

// see takes note of a page.
func (b *belief) see(paths []string) {
	if b == nil {
		return
	}
	for _, path := range paths {
		if seen, sampled := b.sampled[path]; sampled && !seen {
			b.sampled[path] = true
			b.seen++
		}
	}
}

// doubt is called before the last page counts. It returns an error if the
// registry does not work, and fails the sweep if its catalog is not whole.
func (w *sweep) doubt(ctx context.Context, state postgres.State) error {
	if err := w.prove(ctx, state, gitlab.Project{}); err != nil {
		return err
	}
	if w.belief == nil {
		return nil
	}
	reason, err := w.objection(ctx, state.Settings.WitnessShare)
	switch {
	case err != nil:
		return w.explain(ctx, state, err)
	case reason != "":
		return w.fail(ctx, reason)
	}
	return nil
}

// objection says why the catalog cannot be whole, "" if nothing speaks against
// it. Of a sample large enough the share counts that the witness demands; where
// GitLab knows few repositories, each that the catalog lacks is looked for.
func (w *sweep) objection(ctx context.Context, share int) (string, error) {
	all := len(w.belief.sampled)
	if all >= witnessQuorum {
		if w.belief.seen*100 >= share*all {
			return "", nil
		}
		return fmt.Sprintf("the catalog has only %d of %d sampled container repositories that GitLab knows (witness_share demands %d %%): "+
			"it is not whole, or shows only what these credentials may see", w.belief.seen, all, share), nil
	}
	for path, seen := range w.belief.sampled {
		if seen {
			continue
		}
		holds, err := w.registry.Holds(ctx, path)
		if err != nil {
			return "", err
		}
		if holds {
			return fmt.Sprintf("the catalog is not whole: it lacks %s, which the registry holds", path), nil
		}
	}
	return "", nil
}
