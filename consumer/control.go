package consumer

import (
	"context"
	"sync"
	"time"

	"regmend/shared/gitlab"
	"regmend/shared/postgres"
)

// controlFor is how long a control is kept before another project that listed
// repositories takes its place.
const controlFor = 10 * time.Second

// control remembers when this process last named a control, so that it is not
// named anew after every batch.
type control struct {
	mu    sync.Mutex
	run   int64
	named time.Time
}

// due tells whether a control is to be named now.
func (c *control) due(run int64) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.run == run && time.Since(c.named) < controlFor {
		return false
	}
	c.run, c.named = run, time.Now()
	return true
}

// nameControl makes the last of the listings that holds a repository the
// control.
func (v *visit) nameControl(ctx context.Context) {
	for i := len(v.listings) - 1; i >= 0; i-- {
		l := v.listings[i]
		if l.evidence.Listed == 0 {
			continue
		}
		if !v.control.due(v.state.Run.ID) {
			return
		}
		if err := v.board.SetControl(ctx, v.state.Run.ID, l.project.RegistryPath()); err != nil {
			v.log.WithError(err).Debug("the control was not noted")
		}
		return
	}
}

// prove returns nil if the registry shows that it works, without the suspect's
// help, else the reason the work has to end.
func (j *job) prove(ctx context.Context, state postgres.State, suspect gitlab.Project) error {
	if err := j.witness.prove(ctx, state, suspect); err != nil {
		return j.registryFailed(ctx, err)
	}
	return nil
}

// registryFailed makes everyone hold if err is the registry's failure, and
// returns the reason the work has to end.
func (j *job) registryFailed(ctx context.Context, err error) error {
	switch {
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case registrys(err):
		return j.mender.hold(ctx, err)
	default:
		return err
	}
}
