package consumer

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"time"

	"regmend/shared/gitlab"
	"regmend/shared/postgres"

	"github.com/sirupsen/logrus"
)

const (
	// sieve is how many names of one project are held before those that have a
	// row are sifted out.
	sieve = 5_000
	// mostHeld bounds the names of one project that have no row, in bytes; more
	// than anyone has, and a registry that lies must not fill memory.
	mostHeld = 16 << 20
)

// listing is what the registry listed of one project.
type listing struct {
	project  gitlab.Project
	names    []string // maybe missing, maybe twice
	sifted   int      // so many of names had no row when they were listed
	held     int      // bytes in those
	evidence gitlab.Evidence
	heard    time.Time // from the registry
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
