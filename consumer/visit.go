package consumer

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"regmend/shared/gitlab"
	"regmend/shared/postgres"
	"regmend/shared/registry"

	"github.com/sirupsen/logrus"
)

const (
	// judgeNames is how many names of all projects are held before they are judged.
	judgeNames = 10_000
	// judgeEvery bounds the work that a kill can destroy, and worthAProof from how
	// many listings on that is worth the request which proves empty ones.
	judgeEvery, worthAProof = time.Second, 10
	// salvageTimeout is how long an abandoned attempt may take to keep what it
	// did.
	salvageTimeout = 1500 * time.Millisecond
	// deathsAllowed is how many processes may die scanning a project before it
	// is recorded as failed.
	deathsAllowed = 3
)

// visit is one attempt at the projects of a batch, under one slot and one scan
// number: each project is listed, and then what was listed is judged together.
type visit struct {
	*batch

	state    postgres.State
	scan     int64
	began    time.Time // before anything was listed, by the database's clock
	projects []gitlab.Project
	survey   *registry.Survey
	listings []*listing // not judged yet
	failures []gitlab.Result
	names    int       // in listings
	heardAt  time.Time // the first of listings
}

func (b *batch) newVisit(ctx context.Context, state postgres.State, loaded postgres.Loaded) (*visit, error) {
	routed := make([]gitlab.Project, 0, len(loaded.Projects))
	for _, p := range loaded.Projects {
		if p.FullPath != "" {
			routed = append(routed, p)
		}
	}
	survey, err := b.registry.Survey(ctx, routed)
	if err != nil {
		return nil, err
	}
	survey.Doubt(b.doubts.doubt(state))
	return &visit{
		batch: b, state: state, scan: loaded.Scan, began: loaded.At, projects: lastly(loaded.Known, loaded.Projects), survey: survey,
	}, nil
}

// lastly puts a project that is expected to list something at the end: empty
// listings before it need no other proof.
func lastly(known int64, projects []gitlab.Project) []gitlab.Project {
	i := slices.IndexFunc(projects, func(p gitlab.Project) bool { return p.ID == known })
	if i < 0 {
		return projects
	}
	return append(slices.Delete(slices.Clone(projects), i, i+1), projects[i])
}

// all scans the projects under the slot, and releases it as soon as the registry
// has nothing more to be asked. What was done is stashed on every way out.
func (v *visit) all(ctx, slot context.Context, release func()) error {
	done := false
	defer func() {
		if !done {
			v.salvage(ctx)
		}
	}()
	if err := v.listAll(slot); err != nil {
		return err
	}
	if v.survey.NonEmpty() {
		release()
	} else {
		ctx = slot // tags are asked for
	}
	err := v.judgeListings(ctx)
	done = err == nil
	return err
}

// listAll lists the projects, and judges what it has whenever that grew large
// or old, but at the end: then the slot need not wait for it. What it leaves to be
// judged is proven.
func (v *visit) listAll(ctx context.Context) error {
	last := len(v.projects) - 1
	for i, p := range v.projects {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if err := v.project(ctx, p); err != nil {
			return err
		}
		if i < last && (v.names >= judgeNames || v.due()) {
			if err := v.judge(ctx); err != nil {
				return err
			}
		}
	}
	return v.proveListings(ctx)
}

// due tells whether what was listed is old enough to be judged before the rest is
// listed. Where the registry is slow, or is to be asked slowly, a proof for every few
// listings would cost as much as they do.
func (v *visit) due() bool {
	n := len(v.listings)
	return n > 0 && time.Since(v.heardAt) >= judgeEvery && (n >= worthAProof || v.proven() == n)
}

// salvage stashes what can be judged without the registry, for the attempt was
// abandoned. Empty listings that nothing was listed after are dropped.
func (v *visit) salvage(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), salvageTimeout)
	defer cancel()
	v.listings = v.listings[:v.proven()]
	if !v.survey.NonEmpty() {
		v.listings = nil
	}
	if err := v.judgeListings(ctx); err != nil {
		v.log.WithError(err).Warn("listings of an abandoned scan are dropped; their projects are scanned again")
	}
}

// project scans one project. It returns an error only if the whole visit has
// to end.
func (v *visit) project(ctx context.Context, p gitlab.Project) error {
	if p.FullPath == "" {
		v.fail(p, "the project has no route, so its path in the registry is not known")
		return nil
	}
	if v.begun > 1 {
		deadly, unmark, err := v.mark(ctx, p)
		if err != nil {
			return err
		}
		defer unmark()
		if deadly {
			return nil
		}
	}
	began := time.Now()
	l, err := v.list(ctx, p)
	v.cfg.Metrics.scan(time.Since(began))
	if err != nil {
		return v.explain(ctx, p, err)
	}
	if len(v.listings) == 0 {
		v.heardAt = began
	}
	v.listings = append(v.listings, l)
	v.names += len(l.names)
	return nil
}

// mark notes that the project is being scanned, so that one that kills its
// process is found out: a batch is marked from its second run on. deadly tells
// that this project was, and is recorded as failed.
func (v *visit) mark(ctx context.Context, p gitlab.Project) (deadly bool, unmark func(), err error) {
	deaths, err := v.claims.Mark(ctx, p.ID)
	if err != nil {
		return false, nil, fmt.Errorf("mark project %d: %w", p.ID, err)
	}
	if deaths >= deathsAllowed {
		v.fail(p, fmt.Sprintf("%d processes died while they scanned this project", deaths))
		deadly = true
	}
	return deadly, func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), boardTimeout)
		defer cancel()
		if err := v.claims.Unmark(ctx, p.ID); err != nil {
			v.log.WithError(err).WithField("project_id", p.ID).Warn("a mark is left on the project")
		}
	}, nil
}

// explain decides what the error of a project's listing means: it returns nil
// after it recorded the project as failed, or the reason the visit ends.
func (v *visit) explain(ctx context.Context, p gitlab.Project, err error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	var ours databaseError
	if errors.As(err, &ours) {
		return err
	}
	log := v.log.WithFields(logrus.Fields{"project_id": p.ID, "full_path": p.FullPath}).WithError(err)
	if err := v.blamed(ctx, v.state, p, err); err != nil {
		return err
	}
	log.Warn("the project cannot be listed; it is tried again later")
	v.fail(p, err.Error())
	return nil
}

// fail records the project as failed.
func (v *visit) fail(p gitlab.Project, reason string) {
	r := v.result(p)
	r.Status, r.Error = gitlab.Failed, reason
	v.failures = append(v.failures, r)
}

// result is a result of p in this attempt, still without its outcome.
func (v *visit) result(p gitlab.Project) gitlab.Result {
	return gitlab.Result{Run: v.state.Run.ID, Scan: v.scan, Project: p}
}

// proven is how many of the listings, from the first on, were heard before the
// last one that holds something: by that one the registry showed that empty ones
// are to be believed. What was heard for several projects at once proves nothing
// that was heard after it.
func (v *visit) proven() int {
	var last time.Time
	for _, l := range v.listings {
		if l.evidence.Listed > 0 && l.heard.After(last) {
			last = l.heard
		}
	}
	i := slices.IndexFunc(v.listings, func(l *listing) bool { return l.heard.After(last) })
	if i < 0 {
		return len(v.listings)
	}
	return i
}
