package consumer

import (
	"errors"
	"time"

	"regmend/shared/registry"
)

// culprit is who an error of a listing is the failure of.
type culprit int

const (
	// theProject: recorded as failed, and tried again after a while.
	theProject culprit = iota
	// theRegistry: nothing is recorded, everything holds until it is back.
	theRegistry
	// unclear: the registry's if the control listing fails too, else the
	// project's.
	unclear
)

// blame tells whose failure an error of a listing is, as far as the error
// alone can tell. An error of ours (a cancelled context) is not for it.
func blame(err error) culprit {
	var answer *registry.Error
	var broken held
	switch {
	case errors.As(err, &broken):
		return theRegistry
	case !errors.As(err, &answer):
		return theProject
	case answer.Outage():
		return theRegistry
	default:
		return unclear
	}
}

// databaseError tells an error of Postgres from the registry's and Redis'.
type databaseError struct{ error }

func (e databaseError) Unwrap() error { return e.error }

// retryAfter is how long the registry asked us to wait, 0 if it did not.
func retryAfter(err error) time.Duration {
	var answer *registry.Error
	if errors.As(err, &answer) {
		return answer.RetryAfter
	}
	return 0
}

// registrys tells whether err is about the registry, as against Postgres or
// Redis.
func registrys(err error) bool {
	var answer *registry.Error
	var broken held
	return errors.As(err, &answer) || errors.As(err, &broken)
}
