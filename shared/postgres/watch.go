package postgres

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"sync"
	"time"

	"github.com/sirupsen/logrus"
)

const (
	watchInterval = time.Second
	// staleAfter is how long a state may be relied on. With the interval it
	// makes a change known within 2 s, or work stop.
	staleAfter = 1500 * time.Millisecond
	// readTimeout ends a read that would only be known after it is stale.
	readTimeout = staleAfter - watchInterval
)

// ErrStale says that the state was not read recently enough to be relied on.
var ErrStale = errors.New("the settings and the run could not be read from the database")

// Watch reads the state every second and hands out the last one. It is safe
// for concurrent use.
type Watch struct {
	db  *DB
	log logrus.FieldLogger

	mu      sync.Mutex
	state   State
	fresh   bool
	err     error // of the last read
	changed chan struct{}
}

// NewWatch makes a watch that knows nothing until it runs.
func NewWatch(db *DB, log logrus.FieldLogger) *Watch {
	return &Watch{db: db, log: log, err: errors.New("not read yet"), changed: make(chan struct{})}
}

// Run reads until ctx is done. It returns nil then: a database that cannot be
// read makes the state stale, and is read again.
func (w *Watch) Run(ctx context.Context) error {
	tick := time.NewTicker(watchInterval)
	defer tick.Stop()
	stale := time.NewTimer(staleAfter)
	defer stale.Stop()
	for {
		began := time.Now()
		if w.read(ctx) {
			stale.Reset(staleAfter - time.Since(began))
		}
		if !w.await(ctx, tick.C, stale.C) {
			return nil
		}
	}
}

// First waits for the first state, but no longer than it may take to read one.
func (w *Watch) First(ctx context.Context) {
	w.mu.Lock()
	fresh, changed := w.fresh, w.changed
	w.mu.Unlock()
	if fresh {
		return
	}
	late := time.NewTimer(staleAfter)
	defer late.Stop()
	select {
	case <-changed:
	case <-late.C:
	case <-ctx.Done():
	}
}

// await waits for the next tick, noting meanwhile when the state grows stale.
func (w *Watch) await(ctx context.Context, tick, stale <-chan time.Time) bool {
	for {
		select {
		case <-ctx.Done():
			return false
		case <-stale:
			w.expire()
		case <-tick:
			return true
		}
	}
}

// read tells whether it brought a state.
func (w *Watch) read(ctx context.Context) bool {
	ctx, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	state, err := w.db.State(ctx)

	w.mu.Lock()
	defer w.mu.Unlock()
	w.err = err
	if err != nil {
		return false
	}
	if !w.fresh || !sameOrders(w.state, state) {
		w.announce()
	}
	if !w.fresh && !w.state.ReadAt.IsZero() {
		w.log.Info("the database can be read again")
	}
	w.state, w.fresh = state, true
	return true
}

func (w *Watch) expire() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.fresh {
		return
	}
	w.fresh = false
	w.announce()
	w.log.WithError(w.err).Warn("the database cannot be read; scanning holds")
}

// announce wakes all who wait. w.mu is held.
func (w *Watch) announce() {
	close(w.changed)
	w.changed = make(chan struct{})
}

// sameOrders tells whether nothing changed that anyone has to act on; scan
// numbers are given out all the time.
func sameOrders(a, b State) bool {
	a.Scan, b.Scan = 0, 0
	a.ReadAt, b.ReadAt = time.Time{}, time.Time{}
	return reflect.DeepEqual(a, b)
}

// Now returns the last state read; ErrStale, with the reason, if it is older
// than 1.5 s. A state may be a standby's.
func (w *Watch) Now() (State, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if time.Since(w.state.ReadAt) < staleAfter {
		return w.state, nil
	}
	if w.err != nil {
		return State{}, fmt.Errorf("%w: %w", ErrStale, w.err)
	}
	return State{}, ErrStale
}

// Changed returns a channel that is closed when the state next changes, turns
// stale, or can be relied on again. Ask for it before Now: a change in between
// then closes the channel.
func (w *Watch) Changed() <-chan struct{} {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.changed
}
