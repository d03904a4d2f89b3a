// Package claims says in Redis which process works on which batch, under a
// lease each process keeps alive, so that whoever is alive can put the batches
// of a dead process back into the queue.
//
// A claim makes work rare that is done twice; it does not exclude it. What must
// not be done twice has a fence of its own where it is written.
package claims

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/sirupsen/logrus"
)

// ErrClaimLost is the cause with which a guarded context is cancelled when the
// batch was given to somebody else, or Redis lost the claim.
var ErrClaimLost = errors.New("claim lost: the batch is no longer this process's")

// Config is how claims keep time. All processes on one Redis need the same.
type Config struct {
	// Lease of a process, renewed three times in it; default 6 s.
	Lease time.Duration
	// Look is how often, over all processes together, dead processes' batches
	// are looked for; default 2 s. A batch of a process that died is handed to
	// requeue after at most Lease and one Look.
	Look time.Duration
	// Info tells others about this process.
	Info Info
}

func (c Config) withDefaults() Config {
	c.Lease = cmp.Or(c.Lease, 6*time.Second)
	c.Look = cmp.Or(c.Look, 2*time.Second)
	return c
}

// Work is a batch as its claim remembers it: all that is needed to put it back
// into its queue.
type Work struct {
	Name       string // of the batch
	Generation int
	Payload    []byte
}

// Outcome of a claim.
type Outcome int

// The outcomes. Whoever is not granted the batch can drop its task: another
// one stands for the batch.
const (
	Granted    Outcome = iota
	Elsewhere          // a live process works on it, or this one does already
	Superseded         // a later generation of the batch is queued or running
)

// Claims are the claims of one process. It is safe for concurrent use.
type Claims struct {
	rdb     redis.UniversalClient
	process string
	log     logrus.FieldLogger
	cfg     Config

	mu     sync.Mutex
	serial int64
	held   map[batch]*claim // claimed by this process, or about to be
	adrift map[int64]string // token → name: ended, but Redis may not know it
	calm   time.Time        // looks begin when this process could renew for a lease
}

// batch is a batch in one of its generations.
type batch struct {
	name       string
	generation int
}

// claim is a batch in this process's hands.
type claim struct {
	token   int64 // tells it from other claims of this process
	held    bool  // Redis has granted it
	doubled bool  // its task was delivered to this process once more
	guards  []context.CancelCauseFunc
}

func (c *claim) lose() {
	for _, cancel := range c.guards {
		cancel(ErrClaimLost)
	}
}

// New makes the claims of this process, whose name must be its alone, also
// after a restart.
//
// The client must let a command end with its context (ContextTimeoutEnabled).
func New(rdb redis.UniversalClient, process string, log logrus.FieldLogger, cfg Config) *Claims {
	return &Claims{
		rdb:     rdb,
		process: process,
		log:     log,
		cfg:     cfg.withDefaults(),
		held:    map[batch]*claim{},
		adrift:  map[int64]string{},
	}
}

// Claim claims the batch for this process. runs is how many times the batch has
// begun without having ended, this one included: 1 the first time, more when a
// process died with it. A batch that was granted must be released.
func (c *Claims) Claim(ctx context.Context, w Work) (outcome Outcome, runs int, err error) {
	b := batch{name: w.Name, generation: w.Generation}
	mine, ok := c.reserve(b)
	if !ok {
		return Elsewhere, 0, nil
	}
	outcome, runs, err = c.ask(ctx, w, mine.token)
	c.mu.Lock()
	defer c.mu.Unlock()
	if err != nil {
		// It may have been granted all the same.
		c.adrift[mine.token] = w.Name
		delete(c.held, b)
		return 0, 0, fmt.Errorf("claim batch %s: %w", w.Name, err)
	}
	if outcome != Granted {
		delete(c.held, b)
		return outcome, 0, nil
	}
	// A handler of an older generation in this process is told by the renewal.
	mine.held = true
	return Granted, runs, nil
}

// reserve keeps a second task of the same batch in this process out, before and
// while Redis is asked.
func (c *Claims) reserve(b batch) (*claim, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for other, theirs := range c.held {
		if other.name == b.name && other.generation >= b.generation {
			theirs.doubled = theirs.doubled || other == b
			return nil, false
		}
	}
	c.serial++
	mine := &claim{token: c.serial}
	c.held[b] = mine
	return mine, true
}

// Guard returns a context that is cancelled with ErrClaimLost as its cause when
// this process no longer has the claim, noticed at a renewal. It is cancelled
// from the start if the batch was not granted, or is released.
func (c *Claims) Guard(ctx context.Context, w Work) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancelCause(ctx)
	c.mu.Lock()
	defer c.mu.Unlock()
	mine, ok := c.held[batch{name: w.Name, generation: w.Generation}]
	if !ok {
		cancel(ErrClaimLost)
	} else {
		mine.guards = append(mine.guards, cancel)
	}
	return ctx, func() { cancel(context.Canceled) }
}

// Release forgets the claim if it is still this process's. If the batch's task
// was delivered twice, the other delivery was dropped and may have ended the
// task, so the batch is put back, to be looked at once more. After an error
// Release need not be called again: Run puts the batch back.
func (c *Claims) Release(ctx context.Context, w Work) error {
	b := batch{name: w.Name, generation: w.Generation}
	c.mu.Lock()
	mine, ok := c.held[b]
	delete(c.held, b)
	c.mu.Unlock()
	if !ok {
		return nil
	}
	if err := c.end(ctx, mine.token, w.Name, mine.doubled); err != nil {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.adrift[mine.token] = w.Name
		return fmt.Errorf("release batch %s: %w", w.Name, err)
	}
	return nil
}

// end ends a claim in Redis.
func (c *Claims) end(ctx context.Context, token int64, name string, putBack bool) error {
	args := []any{name, c.process, token, 0}
	if putBack {
		args[3] = 1
	}
	return endScript.Run(ctx, c.rdb, []string{claimsKey()}, args...).Err()
}
