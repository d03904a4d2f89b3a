package consumer

import (
	"context"
	"errors"
	"sync"
)

// Why the gate is shut where nothing is broken.
var (
	errStarting = errors.New("the process is starting")
	errStopped  = errors.New("the process is stopping")
	errDisabled = errors.New("scanning is disabled")
	errCapZero  = errors.New("max_concurrency is 0")
	errStale    = errors.New("the run was read before the batch was enqueued")
)

// shut is why a scan had to leave: the gate was shut for that reason.
type shut struct{ reason error }

func (s shut) Error() string { return "scanning stopped: " + s.reason.Error() }
func (s shut) Unwrap() error { return s.reason }

// gate lets scans through, or says why not. It starts shut, and once it is
// stopped it never opens again.
type gate struct {
	mu      sync.Mutex
	reason  error // nil: open
	changed chan struct{}
	inside  map[*context.CancelCauseFunc]struct{}
}

func newGate() *gate {
	return &gate{
		reason:  errStarting,
		changed: make(chan struct{}),
		inside:  make(map[*context.CancelCauseFunc]struct{}),
	}
}

// set opens the gate (nil), or shuts it for the reason and cancels everything
// inside. It tells whether that changed anything.
func (g *gate) set(reason error) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if errors.Is(g.reason, errStopped) || errors.Is(g.reason, reason) {
		return false
	}
	g.reason = reason
	close(g.changed)
	g.changed = make(chan struct{})
	if reason != nil {
		for cancel := range g.inside {
			(*cancel)(shut{reason})
		}
	}
	return true
}

// stop shuts the gate for good.
func (g *gate) stop() { g.set(errStopped) }

// stopped tells whether the gate was shut for good.
func (g *gate) stopped() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return errors.Is(g.reason, errStopped)
}

// heldFor tells whether the gate is shut because something of that kind is
// broken.
func (g *gate) heldFor(kind string) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	var broken held
	return errors.As(g.reason, &broken) && broken.kind == kind
}

// wait returns when the gate is open, or with errStopped when it never will
// be, or with the cause of ctx.
func (g *gate) wait(ctx context.Context) error {
	for {
		g.mu.Lock()
		reason, changed := g.reason, g.changed
		g.mu.Unlock()
		if reason == nil || errors.Is(reason, errStopped) {
			return reason
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// enter derives a context that is cancelled, with shut as its cause, as soon
// as the gate shuts. leave must be called.
func (g *gate) enter(ctx context.Context) (inside context.Context, leave func()) {
	inside, cancel := context.WithCancelCause(ctx)
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.reason != nil {
		cancel(shut{g.reason})
	}
	g.inside[&cancel] = struct{}{}
	return inside, func() {
		g.mu.Lock()
		defer g.mu.Unlock()
		delete(g.inside, &cancel)
		cancel(context.Canceled)
	}
}
