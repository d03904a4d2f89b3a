package main

import (
	"context"
	"sync"
	"time"

	"regmend/shared/servers"
)

// bouncer is a PgBouncer that is started again when it ends by itself, as a
// supervisor does: version 1.18 ends when a client that asked to cancel a
// statement has gone meanwhile.
type bouncer struct {
	mu      sync.Mutex // of starting and stopping
	server  *servers.PgBouncer
	over    chan struct{}
	keeping sync.WaitGroup
}

// loginAgain is how long PgBouncer refuses everyone after a login of its own
// failed: 15 s by itself, which would be most of the time that Postgres' faults
// take.
const loginAgain = "server_login_retry=3"

func startBouncer(ctx context.Context, dir string, upstream *servers.Postgres) (*bouncer, error) {
	server, err := servers.StartPgBouncer(ctx, dir, upstream, loginAgain)
	if err != nil {
		return nil, err
	}
	b := &bouncer{server: server, over: make(chan struct{})}
	b.keeping.Go(b.keep)
	return b, nil
}

func (b *bouncer) keep() {
	for {
		select {
		case <-b.exited():
			b.revive()
		case <-b.over:
			return
		}
	}
}

func (b *bouncer) exited() <-chan struct{} {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.server.Exited()
}

// revive starts it unless somebody else has.
func (b *bouncer) revive() {
	b.mu.Lock()
	defer b.mu.Unlock()
	select {
	case <-b.over:
		return
	case <-b.server.Exited():
	default:
		return
	}
	if b.server.Restart(context.Background()) != nil {
		const pause = time.Second
		<-time.After(pause)
	}
}

func (b *bouncer) restart(ctx context.Context) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.server.Restart(ctx) == nil {
		return nil
	}
	// One that did not stop in time was killed and not started.
	return b.server.Restart(ctx)
}

func (b *bouncer) stop() error {
	close(b.over)
	b.keeping.Wait()
	return b.server.Stop()
}

// pid is the number of the process that runs now.
func (b *bouncer) pid() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.server.PID()
}
