package consumer

import (
	"context"
	"errors"
	"sync"
	"time"

	"regmend/shared/board"
	"regmend/shared/gitlab"
	"regmend/shared/postgres"
	"regmend/shared/registry"
	"regmend/shared/slots"

	"github.com/sirupsen/logrus"
)

const (
	// holdFor is how long a notice about the registry stays up when nobody
	// renews it, as when the process that tries was killed. With it and with
	// triesApart scanning goes on within 30 s of the recovery.
	holdFor    = 20 * time.Second
	triesApart = 8 * time.Second
	firstTry   = time.Second
	// tryLease is how long a try keeps the others from trying, renewed while it
	// lasts. After one whose process died another is due.
	tryLease = 5 * time.Second
	// lockName is of the lock under which one consumer tries for all.
	lockName = "mend"
)

// mender holds scanning when the registry fails, and ends the hold when it
// works again. It sends its requests under a slot, like a scan.
type mender struct {
	log      logrus.FieldLogger
	process  string
	watch    *postgres.Watch
	board    *board.Board
	gate     *gate
	pool     *slots.Pool
	registry *registry.Client
	witness  *witness
	doubts   *doubts
	metrics  *Metrics

	mu    sync.Mutex
	known string        // the registry's identity; "" until it answered
	next  time.Time     // not to be tried before
	pause time.Duration // between the last two tries
}

// identity is what the registry was found to be; "" until it answered once.
func (m *mender) identity() string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.known
}

// ready tells what has to be known of the registry before anything is scanned,
// as a reason to hold; nil when nothing is left.
func (m *mender) ready(state postgres.State, heard board.Witness) error {
	identity := m.identity()
	if identity == "" {
		return held{board.HoldRegistry, "the registry is about to be asked who it is"}
	}
	return trust(heard, state.Run.ID, identity, state.Settings.WitnessShare, time.Now())
}

// hold makes every consumer wait because of err, the registry's failure, and
// returns the reason.
func (m *mender) hold(ctx context.Context, err error) error {
	broken := held{board.HoldRegistry, err.Error()}
	errors.As(err, &broken) // witness and doubts say their own
	m.metrics.held(broken.kind)
	if m.gate.set(broken) {
		m.log.WithField("reason", broken.reason).Warn("scanning is held")
	}
	wait := retryAfter(err)
	next := m.failed(wait)
	posting, cancel := context.WithTimeout(context.WithoutCancel(ctx), boardTimeout)
	defer cancel()
	if err := m.post(posting, broken, wait, next); err != nil {
		m.log.WithError(err).Warn("the reason for holding could not be noted in Redis")
	}
	return shut{broken}
}

// post puts the notice up and, where no other process tries just now, keeps
// them all from trying before next.
func (m *mender) post(ctx context.Context, broken held, wait time.Duration, next time.Time) error {
	notice := board.Hold{Kind: broken.kind, Reason: broken.reason, Since: time.Now(), By: m.process}
	if wait > 0 {
		notice.Until = time.Now().Add(wait)
	}
	if err := m.board.SetHold(ctx, notice, wait+holdFor); err != nil {
		return err
	}
	_, err := m.board.Lock(ctx, lockName, m.process, max(time.Until(next), time.Millisecond))
	return err
}

// failed puts the next try off, by what the registry asked for, else for a
// while that doubles, and returns when it is.
func (m *mender) failed(wait time.Duration) (next time.Time) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.pause = min(max(2*m.pause, firstTry), triesApart)
	m.next = time.Now().Add(max(wait, m.pause))
	return m.next
}

func (m *mender) succeeded() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.pause, m.next = 0, time.Time{}
}

// longestHold is more than a registry is believed that asks to be left alone.
const longestHold = 25 * time.Hour

// due tells whether a try may be made now: neither one's own pause nor the one
// that the registry asked somebody for must be cut short.
func (m *mender) due(hold board.Hold) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	now := time.Now()
	asked := now.Before(hold.Until) && hold.Until.Before(now.Add(longestHold))
	return !now.Before(m.next) && !asked
}

// try is something asked of the registry under a slot.
type try func(context.Context, postgres.State) error

// mend does what is due while reason (nil: none) holds scanning: it asks the
// registry who it is, tries whether it works again, and hears the witness
// before it is too old. seen is what stood on the board.
func (m *mender) mend(ctx context.Context, reason error, seen board.Notices) {
	state, err := m.watch.Now()
	if err != nil || resting(state.Settings, time.Now()) != nil || !m.due(seen.Hold) {
		return
	}
	try, alone := m.task(state, reason, seen)
	if try == nil {
		return
	}
	if alone {
		mine, err := m.board.Lock(ctx, lockName, m.process, tryLease)
		if err != nil || !mine {
			return // Redis away is the keeper's to notice
		}
	}
	slot, release, err := m.pool.Acquire(ctx)
	if err != nil {
		return // no slot, no try
	}
	defer release()
	if alone {
		err = m.keepingLock(slot, func() error { return try(slot, state) })
	} else {
		err = try(slot, state)
	}
	if m.settle(ctx, slot, err) && alone {
		m.unlock(ctx)
	}
}

// keepingLock does what nobody else is to do meanwhile, renewing the lock.
func (m *mender) keepingLock(ctx context.Context, do func() error) error {
	ctx, cancel := context.WithCancel(ctx)
	var renewing sync.WaitGroup
	renewing.Go(func() {
		tick := time.NewTicker(tryLease / 4)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
				// Without it somebody else tries too, which is harmless.
				_, _ = m.board.Lock(ctx, lockName, m.process, tryLease)
			case <-ctx.Done():
				return
			}
		}
	})
	err := do()
	cancel()
	renewing.Wait()
	return err
}

// settle acts on the outcome of a try and tells whether the next one may follow
// at once.
func (m *mender) settle(ctx, slot context.Context, err error) bool {
	switch {
	case err == nil:
		m.succeeded()
		return true
	case slot.Err() != nil: // it was cut short
		return true
	case errors.Is(err, errAnother):
		m.failed(0) // the keeper says so
	case registrys(err):
		_ = m.hold(ctx, err) // the reason stands on the board
	default:
		m.failed(0)
		m.log.WithError(err).Warn("the registry could not be tried")
	}
	return false
}

// task picks what is to be done, nil if nothing is, and tells whether one
// consumer does it for all.
func (m *mender) task(state postgres.State, reason error, seen board.Notices) (do try, alone bool) {
	var broken held
	errors.As(reason, &broken)
	switch {
	case m.identity() == "", broken.kind == board.HoldRun && another(state, m.identity()):
		return m.identify, false
	case broken.kind == board.HoldRegistry:
		return m.prove, true
	case broken.kind == board.HoldCatalog:
		return m.readCatalog, true
	case broken.kind == board.HoldWitness, reason == nil && time.Since(seen.Witness.At) > hearAfter:
		return m.hear, true
	case reason == nil && state.Settings.Strategy == postgres.StrategyAuto && !m.knows(seen.Catalog):
		return m.askCatalog, true
	default:
		return nil, false
	}
}

func (m *mender) unlock(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), boardTimeout)
	defer cancel()
	if err := m.board.Unlock(ctx, lockName, m.process); err != nil {
		m.log.WithError(err).Debug("a lock is left to expire")
	}
}

// errAnother says that the registry is not the run's.
var errAnother = errors.New("the registry is another one than the run's")

// identify asks the registry who it is, and again while it seems to be another
// one than the run's: one whose metadata database is off for a moment does. That
// it answers does not end a hold: GitLab's registry answers that much while its
// database is down.
func (m *mender) identify(ctx context.Context, state postgres.State) error {
	found, err := m.registry.Probe(ctx)
	if err != nil {
		return err
	}
	if found.Identity != m.identity() {
		m.know(found.Identity)
		m.log.WithFields(logrus.Fields{"registry": found.Identity, "version": found.Version}).Info("registry found")
	}
	if another(state, found.Identity) {
		return errAnother
	}
	return nil
}

// another tells whether the identity is of another registry than the run's.
func another(state postgres.State, identity string) bool {
	return state.Run.ID != 0 && state.Run.Registry != identity
}

func (m *mender) know(identity string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.known = identity
}

// prove ends the hold if the registry proves that it works.
func (m *mender) prove(ctx context.Context, state postgres.State) error {
	if err := m.witness.prove(ctx, state, gitlab.Project{}); err != nil {
		return err
	}
	return m.board.ClearHold(ctx, board.HoldRegistry)
}

// hear hears the witness, and takes note if the registry is another one by now.
func (m *mender) hear(ctx context.Context, state postgres.State) error {
	heard, err := m.witness.hear(ctx, state)
	if err != nil {
		return err
	}
	m.know(heard.Registry)
	if err := trust(heard, state.Run.ID, heard.Registry, state.Settings.WitnessShare, time.Now()); err != nil {
		return err
	}
	return m.board.ClearHold(ctx, board.HoldWitness)
}

// readCatalog ends the hold if the catalog shows again what it has to.
func (m *mender) readCatalog(ctx context.Context, state postgres.State) error {
	err := m.doubts.read(ctx, state)
	if refused(err) {
		// Nothing rests on a catalog that nobody gets, if the registry is well.
		err = m.witness.prove(ctx, state, gitlab.Project{})
	}
	if err != nil {
		return err
	}
	return m.board.ClearHold(ctx, board.HoldCatalog)
}
