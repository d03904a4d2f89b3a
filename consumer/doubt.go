package consumer

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"sync"

	"regmend/shared/board"
	"regmend/shared/gitlab"
	"regmend/shared/postgres"
	"regmend/shared/registry"
)

// ownSample is how many container repositories of the projects that a catalog is
// read for are looked for in it at most, and wholeSample how many of any.
const ownSample, wholeSample = 20, 30

// doubts keeps scans from believing a catalog that is well-formed, but shows only
// a part, as it does to credentials that may see some projects only. It is safe
// for concurrent use.
type doubts struct {
	db       *postgres.DB
	registry *registry.Client
	witness  *witness

	mu     sync.Mutex
	lacked []postgres.Sampled // what the last catalog that was not whole lacked
}

// doubt is the doubt of the catalogs that one visit reads: what GitLab knew before
// a walk, has a row after it and has tags, has to be in the catalog.
type doubt struct {
	*doubts

	state  postgres.State
	absent map[string]postgres.Sampled // by registry path: not seen so far
}

func (d *doubts) doubt(state postgres.State) *doubt { return &doubt{doubts: d, state: state} }

// read reads the catalog for nobody, to see whether it is whole.
func (d *doubts) read(ctx context.Context, state postgres.State) error {
	doubted := d.doubt(state)
	if err := doubted.Before(ctx, nil); err != nil {
		return err
	}
	_, err := d.registry.Catalog(ctx, func(paths []string) error {
		doubted.Page(paths)
		return nil
	})
	if err != nil {
		return err
	}
	return doubted.After(ctx)
}

// Before takes the sample: of the projects that the catalog is read for, and of
// any, as theirs may be among what is shown of half of it. What was lacking once
// is in it as well.
func (d *doubt) Before(ctx context.Context, of []gitlab.Project) error {
	ids := make([]int64, len(of))
	for i, p := range of {
		ids[i] = p.ID
	}
	own, err := d.db.SampleOf(ctx, ids, ownSample)
	if err != nil {
		return databaseError{err}
	}
	others, err := d.db.Sample(ctx, wholeSample-len(own))
	if err != nil {
		return databaseError{err}
	}
	d.absent = make(map[string]postgres.Sampled, wholeSample)
	for _, s := range slices.Concat(own, others, d.remembered()) {
		// GitLab may have rows of other names; nothing can be pushed there.
		if path := s.Project.RepositoryPath(s.Name); gitlab.ValidRepositoryPath(path) {
			d.absent[path] = s
		}
	}
	return nil
}

// Page takes note of what is in the catalog.
func (d *doubt) Page(paths []string) {
	for _, path := range paths {
		delete(d.absent, path)
	}
}

// After returns nil if nothing speaks against the catalog, else the reason to
// hold, or the error for which that is not known.
func (d *doubt) After(ctx context.Context) error {
	for _, path := range slices.Sorted(maps.Keys(d.absent)) {
		why, err := d.speaksAgainst(ctx, path)
		if err != nil {
			return err
		}
		if why != "" {
			d.remember(d.absent[path])
			return held{board.HoldCatalog, fmt.Sprintf(
				"the registry's catalog is not whole: it lacks %s, which GitLab knows and %s: "+
					"give regmend credentials that have the right to the whole catalog, and to pull from every project", path, why)}
		}
	}
	return nil
}

// speaksAgainst tells why what is at path, which the catalog lacks, ought to be in
// it; "" if it need not be.
func (d *doubt) speaksAgainst(ctx context.Context, path string) (why string, err error) {
	s := d.absent[path]
	tagged, err := d.registry.Tagged(ctx, path)
	switch {
	case err == nil && tagged:
		why = "which has tags"
	case err == nil:
		return "", nil
	case ctx.Err() != nil:
		return "", context.Cause(ctx)
	case refused(err):
		why = "whose tags it refuses to tell"
	case blame(err) == theRegistry:
		return "", err
	}
	if err != nil {
		// Whose failure is it?
		if err := d.witness.prove(ctx, d.state, s.Project); err != nil {
			return "", err
		}
	}
	stands, err := d.db.Stands(ctx, s)
	switch {
	case err != nil:
		return "", databaseError{err}
	case !stands:
		return "", nil
	}
	return why, nil
}

// refused tells whether the registry may know, but not for these credentials.
func refused(err error) bool {
	var answer *registry.Error
	return errors.As(err, &answer) && (answer.StatusCode == http.StatusUnauthorized || answer.StatusCode == http.StatusForbidden)
}

func (d *doubts) remembered() []postgres.Sampled {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.lacked
}

func (d *doubts) remember(lacked postgres.Sampled) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.lacked = []postgres.Sampled{lacked}
}
