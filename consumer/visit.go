package consumer

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"slices"
	"time"

	"regmend/shared/gitlab"
	"regmend/shared/postgres"
	"regmend/shared/registry"

	"github.com/sirupsen/logrus"
)

const (
	// sieve is how many names of one project are held before those that have a
	// row are sifted out, and judgeNames how many names of all projects before
	// they are judged.
	sieve, judgeNames = 5_000, 10_000
	// mostHeld bounds the names of one project that have no row, in bytes; more
	// than anyone has, and a registry that lies must not fill memory.
	mostHeld = 16 << 20
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
	projects []gitlab.Project
	survey   *registry.Survey
	listings []*listing // not judged yet
	failures []gitlab.Result
	names    int       // in listings
	heardAt  time.Time // the first of listings
}

// listing is what the registry listed of one project.
type listing struct {
	project  gitlab.Project
	names    []string // maybe missing, maybe twice
	sifted   int      // so many of names had no row when they were listed
	held     int      // bytes in those
	evidence gitlab.Evidence
	heard    time.Time // from the registry
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
	return &visit{
		batch: b, state: state, scan: loaded.Scan, projects: lastly(loaded.Known, loaded.Projects), survey: survey,
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
// or old. What it leaves to be judged is proven.
func (v *visit) listAll(ctx context.Context) error {
	for _, p := range v.projects {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if err := v.project(ctx, p); err != nil {
			return err
		}
		if v.names >= judgeNames || v.due() {
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

var (
	// errPanic is a panic while a project was listed.
	errPanic = errors.New("panic")
	// errTooMany says that a project's listing cannot be held.
	errTooMany = errors.New("the registry lists more repositories without a row than can be held: is it telling the truth?")
)

// list reads the project's listing to its end.
func (v *visit) list(ctx context.Context, p gitlab.Project) (l *listing, err error) {
	defer func() {
		if r := recover(); r != nil {
			v.log.WithFields(logrus.Fields{
				"project_id": p.ID, "full_path": p.FullPath, "reason": fmt.Sprint(r), "stack": string(debug.Stack()),
			}).Error("panic while listing")
			err = fmt.Errorf("%w while listing: %v", errPanic, r)
		}
	}()
	l = &listing{project: p}
	l.evidence, err = v.survey.List(ctx, p, func(names []string) error {
		l.names = append(l.names, names...)
		v.names += len(names)
		return v.sift(ctx, l)
	})
	l.heard = v.survey.Heard()
	return l, err
}

// sift drops the names that have a row once there are many, so that a large
// project takes little memory. Those without one are judged again at the end.
func (v *visit) sift(ctx context.Context, l *listing) error {
	if len(l.names)-l.sifted < sieve {
		return nil
	}
	missing, err := v.withoutRow(ctx, listed(l.project, l.names[l.sifted:]))
	if err != nil {
		return err
	}
	v.names -= len(l.names) - l.sifted - len(missing)
	l.names = l.names[:l.sifted]
	for _, m := range missing {
		l.names = append(l.names, m.Name)
		l.held += len(m.Name)
	}
	l.sifted = len(l.names)
	if l.held > mostHeld {
		return errTooMany
	}
	return nil
}

// withoutRow asks Postgres which of the repositories have no row.
func (b *batch) withoutRow(ctx context.Context, all []postgres.Listed) ([]postgres.Listed, error) {
	missing, err := b.db.WithoutRow(ctx, all)
	if err != nil {
		return nil, databaseError{err}
	}
	return missing, nil
}

// listed names the project's repositories for a question to Postgres.
func listed(p gitlab.Project, names []string) []postgres.Listed {
	all := make([]postgres.Listed, len(names))
	for i, name := range names {
		all[i] = postgres.Listed{ProjectID: p.ID, Name: name}
	}
	return all
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
	switch blame(err) {
	case theRegistry:
		log.Warn("the registry fails; the scan waits for it")
		return v.mender.hold(ctx, err)
	case unclear:
		if err := v.prove(ctx, v.state, p); err != nil {
			return err
		}
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
