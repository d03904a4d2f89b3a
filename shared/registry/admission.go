package registry

import (
	"context"
	"net/http"
	"sync"
	"time"
)

// admission lets a request out when Config.Admit says so. It is right above the
// wire: what credentials cost is admitted like what it is asked for.
type admission struct {
	next  http.RoundTripper
	admit func(ctx context.Context) error
}

func (a *admission) RoundTrip(req *http.Request) (*http.Response, error) {
	resume := stopDeadlines(req.Context())
	err := a.admit(req.Context())
	resume()
	if err != nil {
		return nil, err
	}
	return a.next.RoundTrip(req)
}

// CloseIdleConnections lets http.Client reach the network below the layers.
func (a *admission) CloseIdleConnections() { closeIdle(a.next) }

// deadline ends a context after a while, in which the time that a request waits
// to be admitted does not count.
type deadline struct {
	outer *deadline // of the context it was made in; nil: none

	mu    sync.Mutex
	timer *time.Timer
	left  time.Duration // while stopped, else from since on
	since time.Time
}

type deadlineKey struct{}

// withDeadline bounds what is done under the context.
func withDeadline(ctx context.Context, what string, after time.Duration) (context.Context, context.CancelFunc) {
	outer, _ := ctx.Value(deadlineKey{}).(*deadline)
	ctx, cancel := context.WithCancelCause(ctx)
	d := &deadline{outer: outer, left: after, since: time.Now()}
	d.timer = time.AfterFunc(after, func() { cancel(&timeoutError{what: what, after: after}) })
	return context.WithValue(ctx, deadlineKey{}, d), func() {
		d.timer.Stop()
		cancel(context.Canceled)
	}
}

// stopDeadlines lets the deadlines of the context stand still until resume is
// called.
func stopDeadlines(ctx context.Context) (resume func()) {
	innermost, _ := ctx.Value(deadlineKey{}).(*deadline)
	for d := innermost; d != nil; d = d.outer {
		d.stop()
	}
	return func() {
		for d := innermost; d != nil; d = d.outer {
			d.resume()
		}
	}
}

func (d *deadline) stop() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.timer.Stop()
	d.left -= time.Since(d.since)
}

func (d *deadline) resume() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.since = time.Now()
	d.timer.Reset(max(d.left, 0))
}
