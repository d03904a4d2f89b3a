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
	// sieve is how many repositories of one project are held before those that have a
	// row are sifted out.
	sieve = 5_000
	// askedAtOnce is how many names one statement looks for.
	askedAtOnce = 10_000
)

// listing is what the registry listed of one project.
type listing struct {
	project  gitlab.Project
	names    []string            // while it is read maybe twice, then as gitlab.NameSet makes them
	held     int                 // bytes in names
	emptied  []string            // those of names that were found to have no tag
	found    []gitlab.Repository // those that may be missing, maybe twice
	sifted   int                 // so many of found had no row when they were listed
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
	l.evidence, err = v.survey.List(ctx, p, func(page []gitlab.Repository) error {
		if err := l.hold(page); err != nil {
			return err
		}
		return v.sift(ctx, l)
	})
	l.names = gitlab.NameSet(l.names)
	l.heard = v.survey.Heard()
	return l, err
}

// hold keeps a page. Its names are put into one string, lest each keep the whole
// path that it was cut from.
func (l *listing) hold(page []gitlab.Repository) error {
	var names strings.Builder
	for _, r := range page {
		names.WriteString(r.Name)
		l.held += len(r.Name) + ofAString
	}
	if l.held > mostHeld {
		return errTooMany
	}
	all := names.String()
	l.names, l.found = slices.Grow(l.names, len(page)), slices.Grow(l.found, len(page))
	for _, r := range page {
		name := all[:len(r.Name)]
		all = all[len(name):]
		l.names = append(l.names, name)
		l.found = append(l.found, gitlab.Repository{Name: name, CreatedAt: r.CreatedAt})
	}
	return nil
}

// sift drops what has a row from those that may be missing, once there are many, so
// that a large project takes little memory. The others are judged again at the end.
func (v *visit) sift(ctx context.Context, l *listing) error {
	if len(l.found)-l.sifted < sieve {
		return nil
	}
	missing, err := v.withoutRow(ctx, listed(l.project, l.found[l.sifted:]))
	if err != nil {
		return err
	}
	l.found = l.found[:l.sifted]
	for _, m := range missing {
		l.found = append(l.found, gitlab.Repository{Name: m.Name, CreatedAt: m.CreatedAt})
	}
	l.sifted = len(l.found)
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
func listed(p gitlab.Project, found []gitlab.Repository) []postgres.Listed {
	all := make([]postgres.Listed, len(found))
	for i, r := range found {
		all[i] = postgres.Listed{ProjectID: p.ID, Name: r.Name, CreatedAt: r.CreatedAt}
	}
	return all
}
