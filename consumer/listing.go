package consumer

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"regmend/shared/gitlab"
	"regmend/shared/postgres"

	"github.com/sirupsen/logrus"
)

const (
	// mostHeld bounds the names of one project, in bytes with what a string takes
	// beside them; more than anyone has, and a registry that lies must not fill
	// memory.
	mostHeld  = 16 << 20
	ofAString = 16
	// askedAtOnce is how many names one statement looks for.
	askedAtOnce = 10_000
)

// listing is what the registry listed of one project.
type listing struct {
	project  gitlab.Project
	names    []string // while it is read maybe twice, then as gitlab.NameSet makes them
	emptied  []string // those of names that were found to have no tag
	held     int      // bytes in names
	evidence gitlab.Evidence
	heard    time.Time // from the registry
}

var (
	// errPanic is a panic while a project was listed.
	errPanic = errors.New("panic")
	// errTooMany says that a project's listing cannot be held.
	errTooMany = errors.New("the registry lists more repositories of this project than can be held: is it telling the truth?")
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
	l.evidence, err = v.survey.List(ctx, p, l.hold)
	l.names = gitlab.NameSet(l.names)
	l.heard = v.survey.Heard()
	return l, err
}

// hold keeps a page of names. They are put into one string, lest each keep the
// whole path that it was cut from.
func (l *listing) hold(names []string) error {
	for _, name := range names {
		l.held += len(name) + ofAString
	}
	if l.held > mostHeld {
		return errTooMany
	}
	page := strings.Join(names, "")
	l.names = slices.Grow(l.names, len(names))
	for _, name := range names {
		l.names = append(l.names, page[:len(name)])
		page = page[len(name):]
	}
	return nil
}

// nonEmpty are the names of the repositories that are not known to be empty.
func (l *listing) nonEmpty() []string {
	names := l.names
	if len(l.emptied) > 0 {
		names, _ = gitlab.Changes(gitlab.NameSet(l.emptied), names)
	}
	if names == nil {
		return []string{} // known to be none
	}
	return names
}

// withoutRow asks Postgres, also where there are none, which of the repositories
// have no row.
func (b *batch) withoutRow(ctx context.Context, all []postgres.Listed) ([]postgres.Listed, error) {
	var missing []postgres.Listed
	for {
		some := all[:min(len(all), askedAtOnce)]
		found, err := b.db.WithoutRow(ctx, some)
		if err != nil {
			return nil, databaseError{err}
		}
		missing = append(missing, found...)
		if all = all[len(some):]; len(all) == 0 {
			return missing, nil
		}
	}
}

// listed names the project's repositories for a question to Postgres.
func listed(p gitlab.Project, names []string) []postgres.Listed {
	all := make([]postgres.Listed, len(names))
	for i, name := range names {
		all[i] = postgres.Listed{ProjectID: p.ID, Name: name}
	}
	return all
}
