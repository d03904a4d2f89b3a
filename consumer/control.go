package consumer

import (
	"context"
	"slices"
	"sync"
	"time"

	"regmend/shared/gitlab"
	"regmend/shared/postgres"

	"github.com/sirupsen/logrus"
)

// controlFor is how long a control is kept before another project that listed
// repositories takes its place.
const controlFor = 10 * time.Second

// control remembers the project that this process last made the control, so that
// neither is another one named after every batch, nor the board asked for it.
type control struct {
	mu    sync.Mutex
	run   int64
	path  string // in the registry
	named time.Time
}

// lists is told that the project of that registry path lists repositories, and
// tells whether it is the control from now on.
func (c *control) lists(run int64, path string) (due bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.run == run && time.Since(c.named) < controlFor {
		return false
	}
	c.run, c.path, c.named = run, path, time.Now()
	return true
}

// latest is the control that this process named a moment ago, "" if it did not.
func (c *control) latest(run int64) (path string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.run != run || time.Since(c.named) >= controlFor {
		return ""
	}
	return c.path
}

// nameControl makes the last of the listings that holds a repository the
// control.
func (v *visit) nameControl(ctx context.Context) {
	for _, l := range slices.Backward(v.listings) {
		if l.evidence.Listed == 0 {
			continue
		}
		run, path := v.state.Run.ID, l.project.RegistryPath()
		if !v.control.lists(run, path) {
			return
		}
		if err := v.board.SetControl(ctx, run, path); err != nil {
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

// blamed returns nil if the error of a question about the project is the project's
// own, else the reason the work has to end: the registry fails, and everyone holds.
func (j *job) blamed(ctx context.Context, state postgres.State, p gitlab.Project, err error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	switch blame(err) {
	case theRegistry:
		j.log.WithFields(logrus.Fields{"project_id": p.ID, "full_path": p.FullPath}).WithError(err).
			Warn("the registry fails; the work waits for it")
		return j.mender.hold(ctx, err)
	case unclear:
		return j.prove(ctx, state, p)
	default:
		return nil
	}
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
