// Package slots is the global cap: timed rights to scan, kept in Redis, never
// more of them at once, over all processes, than the limit. With them come the
// rights to send requests, never more of them in a second than the rate.
//
// A slot is held under a lease that its process renews. A process that cannot
// renew gives the slot up by its own clock before the lease ends, so that
// nobody else has it yet. After Redis has lost the slots nothing is granted for
// one lease: by then whoever held one has said so again or has given up.
package slots

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/sirupsen/logrus"
)

// Causes with which the context of a slot is cancelled.
var (
	ErrLost    = errors.New("slot lost: its lease could not be renewed")
	ErrSurplus = errors.New("slot given up: max_concurrency was lowered")
)

// ErrStopped says that the pool grants nothing any more.
var ErrStopped = errors.New("the pool of slots has stopped")

// Config is how a pool keeps time. All processes on one Redis need the same.
type Config struct {
	// Lease is how long a slot is held without being renewed, and for how long
	// nothing is granted after Redis lost the slots; default 10 s.
	Lease time.Duration
	// Margin is how long before the end of its lease a holder gives up: the
	// time it has to end its requests; default a fifth of Lease.
	Margin time.Duration
	// Renew is how often Redis is asked while a slot is held, which is also
	// the time it takes to notice another limit; default a twentieth of Lease.
	Renew time.Duration
	// Poll is how often Redis is asked while somebody waits; default 50 ms.
	Poll time.Duration
	// Patience is how long a process waits before it goes before those that
	// hand their slots on within themselves; default 5 s.
	Patience time.Duration
	// Timeout is for each conversation with Redis; default a tenth of Lease.
	Timeout time.Duration
	// Budget is filled with the rights to send requests; default: one that
	// nobody spends.
	Budget *Budget
}

func (c Config) withDefaults() Config {
	c.Lease = cmp.Or(c.Lease, 10*time.Second)
	c.Margin = cmp.Or(c.Margin, c.Lease/5)
	c.Renew = cmp.Or(c.Renew, c.Lease/20)
	c.Poll = cmp.Or(c.Poll, 50*time.Millisecond)
	c.Patience = cmp.Or(c.Patience, 5*time.Second)
	c.Timeout = cmp.Or(c.Timeout, c.Lease/10)
	if c.Budget == nil {
		c.Budget = NewBudget()
	}
	return c
}

// Pool hands out the slots of one process. It is safe for concurrent use.
type Pool struct {
	rdb     redis.UniversalClient
	keys    keyspace
	process string
	limits  func() Limits
	log     logrus.FieldLogger
	cfg     Config

	wake    chan struct{} // holds one: a look is wanted at once
	stopped chan struct{} // closed when Run has begun to end
	known   bool          // Redis was asked once; of Run alone
	late    bool          // rights came too late to be of use; of Run alone

	mu      sync.Mutex
	allowed int // the limit at the last look
	serial  int64
	waiting []*slot          // in the order of their coming
	held    map[string]*slot // by token; granted and not yet released
	back    map[string]bool  // tokens that Redis must still be told are free
}

// NewRepairPool makes the pool of this process that caps the tasks of repairs: slots
// of their own, which have no rights to send requests with them.
func NewRepairPool(rdb redis.UniversalClient, process string, limits func() Limits, log logrus.FieldLogger, cfg Config) *Pool {
	cfg.Budget = nil
	p := NewPool(rdb, process, limits, log, cfg)
	p.keys = repairs()
	return p
}

// slot is one right to scan, from being asked for to being given back.
type slot struct {
	token   string
	granted chan struct{} // closed by the grant
	cancel  context.CancelCauseFunc

	// Set by the grant.
	age      int64
	deadline *time.Timer
}

// NewPool makes the pool of this process, whose name must be its alone. limits
// are asked for at every look.
//
// The client must let a command end with its context (ContextTimeoutEnabled):
// otherwise a Redis that hangs delays the stop. Slots end in time regardless.
func NewPool(rdb redis.UniversalClient, process string, limits func() Limits, log logrus.FieldLogger, cfg Config) *Pool {
	return &Pool{
		rdb:     rdb,
		keys:    scans(),
		process: process,
		limits:  limits,
		log:     log,
		cfg:     cfg.withDefaults(),
		wake:    make(chan struct{}, 1),
		stopped: make(chan struct{}),
		held:    map[string]*slot{},
		back:    map[string]bool{},
	}
}

// Acquire waits for a slot, through cap 0 and an absent Redis, until ctx ends
// (the error wraps its cause) or the pool stops (ErrStopped). The slot's
// context derives from ctx and is cancelled with ErrLost or ErrSurplus as its
// cause. release must be called when the last request has ended, and not
// before: until then the slot counts. It may be called more than once.
func (p *Pool) Acquire(ctx context.Context) (held context.Context, release func(), err error) {
	held, cancel := context.WithCancelCause(ctx)
	s := p.ask(cancel)
	release = func() { p.release(s) }
	select {
	case <-s.granted:
		return held, release, nil
	case <-ctx.Done():
		release()
		return nil, nil, fmt.Errorf("wait for a slot: %w", context.Cause(ctx))
	case <-p.stopped:
		release()
		return nil, nil, ErrStopped
	}
}

// Wake makes the pool look at once, after the limits changed.
func (p *Pool) Wake() {
	select {
	case p.wake <- struct{}{}:
	default: // one look sees everything that happened before it
	}
}

// ask puts a slot into the line of those that wait.
func (p *Pool) ask(cancel context.CancelCauseFunc) *slot {
	s := &slot{granted: make(chan struct{}), cancel: cancel}
	p.mu.Lock()
	p.serial++
	// Chosen here and not by Redis: asked for again after a lost reply it is
	// the same slot, and one that nobody waits for any more can be named.
	s.token = p.process + "/" + strconv.FormatInt(p.serial, 10)
	p.waiting = append(p.waiting, s)
	hopeless := p.allowed > 0 && len(p.held) >= p.allowed
	p.mu.Unlock()
	if !hopeless { // else a release is what to look at
		p.Wake()
	}
	return s
}

// release forgets the slot, granted or not. It is told to Redis in any case: a
// grant may be on its way.
func (p *Pool) release(s *slot) {
	p.mu.Lock()
	i := slices.Index(p.waiting, s)
	_, held := p.held[s.token]
	if i >= 0 {
		p.waiting = slices.Delete(p.waiting, i, i+1)
	}
	if held {
		s.deadline.Stop()
		delete(p.held, s.token)
	}
	known := held || i >= 0
	if known {
		p.back[s.token] = true
	}
	p.mu.Unlock()
	s.cancel(context.Canceled)
	if known {
		p.Wake()
	}
}

// InUse counts the slots that are held now, over all processes.
func InUse(ctx context.Context, rdb redis.UniversalClient) (int, error) {
	n, err := inUseScript.Run(ctx, rdb, []string{scans().held}).Int()
	if err != nil {
		return 0, fmt.Errorf("count slots in use: %w", err)
	}
	return n, nil
}
