package consumer

import (
	"context"
	"fmt"
	"sync"
	"time"

	"regmend/shared/board"
	"regmend/shared/gitlab"
	"regmend/shared/postgres"
	"regmend/shared/registry"
	"regmend/shared/slots"

	"github.com/redis/go-redis/v9"
	"github.com/sirupsen/logrus"
)

const (
	// ghostRows is how many rows are looked at under one slot.
	ghostRows = 500
	// ghostAsks is how often a repository has to be unknown.
	ghostAsks = 2
)

// Ghosts finds ghosts: rows of GitLab's whose repository the registry does not
// know. It asks under the cap of all consumers.
type Ghosts struct {
	log      logrus.FieldLogger
	db       *postgres.DB
	watch    *postgres.Watch
	registry *registry.Client
	pool     *slots.Pool
	board    *board.Board
	witness  *witness
}

// NewGhosts puts it together. reg has to spend what budget is given, and its name
// has to be this process's alone. Watch and Run have to run while Find does.
func NewGhosts(db *postgres.DB, watch *postgres.Watch, rdb redis.UniversalClient, reg *registry.Client, log logrus.FieldLogger, process string, cfg slots.Config) *Ghosts {
	g := &Ghosts{log: log, db: db, watch: watch, registry: reg, board: board.New(rdb)}
	g.pool = slots.NewPool(rdb, process, func() slots.Limits { return limits(watch) }, log, cfg)
	g.witness = &witness{log: log, db: db, board: g.board, registry: reg, control: new(control)}
	return g
}

// Run keeps the slots until ctx ends.
func (g *Ghosts) Run(ctx context.Context) error { return g.pool.Run(ctx) }

// Haunted is what came of looking at some rows.
type Haunted struct {
	Ghosts []postgres.Row
	// Skipped is why projects could not be listed: nothing is said of their rows.
	Skipped []error
}

// Find looks at the rows of projects with a completed result, in the namespace (a
// full path of a group or project, "" for all), and calls each with what it found,
// in the order of projects and IDs. A row is a ghost if it is not in a whole
// listing of its project made now, if its repository is unknown each time that its
// tags are asked for, and if it still stands after the registry then showed that it
// works. Find ends with each's first error, or when the registry fails or may not
// be asked.
func (g *Ghosts) Find(ctx context.Context, namespace string, each func(Haunted) error) error {
	g.watch.First(ctx)
	var from postgres.RowPosition
	for end := false; !end; {
		state, err := g.allowed(ctx)
		if err != nil {
			return err
		}
		rows, next, last, err := g.db.Rows(ctx, state.Run, namespace, from, ghostRows)
		if err != nil {
			return err
		}
		found, err := g.among(ctx, state, rows)
		switch {
		case gaveWay(err) && ctx.Err() == nil:
			continue
		case err != nil:
			return err
		}
		if err := each(found); err != nil {
			return err
		}
		from, end = next, last
	}
	return nil
}

// allowed returns the state, or why the registry may not be asked.
func (g *Ghosts) allowed(ctx context.Context) (postgres.State, error) {
	state, err := g.watch.Now()
	if err != nil {
		return state, err
	}
	if err := resting(state.Settings, time.Now()); err != nil {
		return state, fmt.Errorf("the registry may not be asked: %w", err)
	}
	found, err := g.registry.Probe(ctx)
	if err != nil {
		return state, err
	}
	if err := state.Agrees(postgres.Remembered{}, found.Identity); err != nil {
		return state, err
	}
	holds, err := g.board.Holds(ctx)
	if err == nil && len(holds) > 0 {
		err = fmt.Errorf("scanning holds: %s", holds[0].Reason)
	}
	return state, err
}

// among looks for ghosts among rows, under a slot. An error that gaveWay knows
// says to begin again.
func (g *Ghosts) among(ctx context.Context, state postgres.State, rows []postgres.Row) (found Haunted, err error) {
	if len(rows) == 0 {
		return found, nil
	}
	slot, release, err := g.acquire(ctx)
	if err != nil {
		return found, err
	}
	defer release()
	suspects, skipped, err := g.unlisted(slot, rows)
	for range ghostAsks {
		if err == nil {
			suspects, err = g.unknown(slot, suspects)
		}
	}
	if err == nil && len(suspects) > 0 {
		err = g.witness.prove(slot, state, gitlab.Project{})
	}
	if err == nil {
		suspects, err = g.db.Standing(slot, suspects)
	}
	if err != nil && slot.Err() != nil {
		err = context.Cause(slot)
	}
	return Haunted{Ghosts: suspects, Skipped: skipped}, err
}

// acquire waits for a slot, which is lost when anything changes that Find has to
// look at.
func (g *Ghosts) acquire(ctx context.Context) (slot context.Context, release func(), err error) {
	changed := g.watch.Changed()
	ctx, cancel := context.WithCancelCause(ctx)
	var watching sync.WaitGroup
	watching.Go(func() {
		select {
		case <-changed:
			cancel(shut{errStale})
		case <-ctx.Done():
		}
	})
	end := func() {
		cancel(context.Canceled)
		watching.Wait()
	}
	slot, free, err := g.pool.Acquire(ctx)
	if err != nil {
		end()
		return nil, nil, err
	}
	return slot, func() { free(); end() }, nil
}

// unlisted returns those of rows that are not in a listing of their project.
func (g *Ghosts) unlisted(ctx context.Context, rows []postgres.Row) (unlisted []postgres.Row, skipped []error, err error) {
	var projects []gitlab.Project
	names := map[int64]map[string]bool{} // not listed yet
	for _, r := range rows {
		if names[r.Project.ID] == nil {
			names[r.Project.ID] = map[string]bool{}
			projects = append(projects, r.Project)
		}
		names[r.Project.ID][r.Name] = true
	}
	survey, err := g.registry.Survey(ctx, projects)
	if err != nil {
		return nil, nil, err
	}
	for _, p := range projects {
		_, err := survey.List(ctx, p, func(listed []gitlab.Repository) error {
			for _, r := range listed {
				delete(names[p.ID], r.Name)
			}
			return nil
		})
		switch {
		case err == nil:
		case ctx.Err() != nil || blame(err) == theRegistry:
			return nil, nil, err
		default:
			skipped = append(skipped, fmt.Errorf("project %d (%s) cannot be listed: %w", p.ID, p.FullPath, err))
			delete(names, p.ID)
		}
	}
	for _, r := range rows {
		if names[r.Project.ID][r.Name] {
			unlisted = append(unlisted, r)
		}
	}
	return unlisted, skipped, nil
}

// unknown returns those of rows whose repository the registry says it does not
// know. Of a path that it cannot be asked for nothing is known.
func (g *Ghosts) unknown(ctx context.Context, rows []postgres.Row) (unknown []postgres.Row, err error) {
	for _, r := range rows {
		if !gitlab.ValidRepositoryPath(r.Path()) {
			continue
		}
		is, err := g.registry.Unknown(ctx, r.Path())
		switch {
		case err != nil && (ctx.Err() != nil || blame(err) == theRegistry):
			return nil, err
		case err != nil:
			g.log.WithError(err).WithField("path", r.Path()).Warn("its tags cannot be read: nothing is known of it")
		case is:
			unknown = append(unknown, r)
		}
	}
	return unknown, nil
}
