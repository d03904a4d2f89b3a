package consumer

import (
	"context"
	"errors"
	"sync"
	"time"

	"regmend/shared/board"
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
	// tryTimeout ends a try that got no answer.
	tryTimeout = time.Minute
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
		return held{board.HoldRegistry, "the registry has not answered yet"}
	}
	return trust(heard, state.Run.ID, identity, state.Settings.WitnessShare, time.Now())
}

// hold makes every consumer wait because of err, the registry's failure, and
// returns the reason.
func (m *mender) hold(ctx context.Context, err error) error {
	broken := held{board.HoldRegistry, err.Error()}
	errors.As(err, &broken) // the witness says its own
	wait := retryAfter(err)
	notice := board.Hold{Kind: broken.kind, Reason: broken.reason, Since: time.Now(), By: m.process}
	if wait > 0 {
		notice.Until = time.Now().Add(wait)
	}
	m.failed(wait)
	m.metrics.held(broken.kind)
	posting, cancel := context.WithTimeout(context.WithoutCancel(ctx), boardTimeout)
	defer cancel()
	if err := m.board.SetHold(posting, notice, wait+holdFor); err != nil {
		m.log.WithError(err).Warn("the reason for holding could not be noted in Redis")
	}
	if m.gate.set(broken) {
		m.log.WithField("reason", broken.reason).Warn("scanning is held")
	}
	return shut{broken}
}

// failed puts the next try off: by what the registry asked for, else for a
// while that doubles.
func (m *mender) failed(wait time.Duration) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.pause = min(max(2*m.pause, firstTry), triesApart)
	m.next = time.Now().Add(max(wait, m.pause))
}

func (m *mender) succeeded() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.pause, m.next = 0, time.Time{}
}

func (m *mender) due() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return !time.Now().Before(m.next)
}

// mend does what is due while reason (nil: none) holds scanning: it asks the
// registry who it is, tries whether it works again, and hears the witness
// before it is too old.
func (m *mender) mend(ctx context.Context, reason error) {
	state, err := m.watch.Now()
	if err != nil || !m.due() || !state.Settings.ScanEnabled {
		return
	}
	try, alone := m.task(ctx, state, reason)
	if try == nil {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, tryTimeout)
	defer cancel()
	if alone {
		mine, err := m.board.Lock(ctx, lockName, m.process, tryTimeout)
		if err != nil || !mine {
			return // Redis away is the keeper's to notice
		}
		defer m.unlock(ctx)
	}
	slot, release, err := m.pool.Acquire(ctx)
	if err != nil {
		return // no slot, no try
	}
	defer release()
	switch err := try(slot, state); {
	case err == nil:
		m.succeeded()
	case slot.Err() != nil: // it was cut short
	case registrys(err):
		_ = m.hold(ctx, err) // the reason stands on the board
	default:
		m.failed(0)
		m.log.WithError(err).Warn("the registry could not be tried")
	}
}

// task picks what is to be done, nil if nothing is, and tells whether one
// consumer does it for all.
func (m *mender) task(ctx context.Context, state postgres.State, reason error) (try func(context.Context, postgres.State) error, alone bool) {
	var broken held
	errors.As(reason, &broken)
	switch {
	case m.identity() == "":
		return m.identify, false
	case broken.kind == board.HoldRegistry:
		return m.prove, true
	case broken.kind == board.HoldWitness, reason == nil && m.witness.ages(ctx):
		return m.hear, true
	default:
		return nil, false
	}
}

func (m *mender) unlock(ctx context.Context) {
	if err := m.board.Unlock(context.WithoutCancel(ctx), lockName, m.process); err != nil {
		m.log.WithError(err).Debug("a lock is left to expire")
	}
}

// identify asks the registry who it is.
func (m *mender) identify(ctx context.Context, _ postgres.State) error {
	found, err := m.registry.Probe(ctx)
	if err != nil {
		return err
	}
	m.mu.Lock()
	m.known = found.Identity
	m.mu.Unlock()
	m.log.WithFields(logrus.Fields{"registry": found.Identity, "version": found.Version}).Info("registry found")
	return m.board.ClearHold(ctx, board.HoldRegistry)
}

// prove ends the hold if the registry proves that it works.
func (m *mender) prove(ctx context.Context, state postgres.State) error {
	if err := m.witness.prove(ctx, state); err != nil {
		return err
	}
	return m.board.ClearHold(ctx, board.HoldRegistry)
}

// hear hears the witness.
func (m *mender) hear(ctx context.Context, state postgres.State) error {
	if _, err := m.witness.hear(ctx, state); err != nil {
		return err
	}
	return m.board.ClearHold(ctx, board.HoldWitness)
}
