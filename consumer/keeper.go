package consumer

import (
	"context"
	"errors"
	"fmt"
	"time"

	"regmend/shared/board"
	"regmend/shared/postgres"
	"regmend/shared/slots"

	"github.com/sirupsen/logrus"
	"golang.org/x/sync/errgroup"
)

const (
	// lookEvery leaves a change of flag or cap, read from Postgres within one
	// second, time to be in force within two.
	lookEvery = 500 * time.Millisecond
	// boardTimeout is how long the board may take before Redis counts as away.
	boardTimeout = time.Second
	// noticeFor is how long a notice stays up that is renewed at every look.
	noticeFor = 5 * time.Second
)

// holdRedis is the kind of hold that cannot stand on the board.
const holdRedis = "redis"

// held is why everyone waits: something is broken.
type held struct {
	kind   string
	reason string
}

func (h held) Error() string { return h.reason }

// keeper keeps the gate: it looks at the settings, the run and the board,
// opens or shuts, and wakes the mender.
type keeper struct {
	process string
	log     logrus.FieldLogger
	watch   *postgres.Watch
	board   *board.Board
	gate    *gate
	pool    *slots.Pool
	repairs *slots.Pool
	mender  *mender

	seen   board.Notices // what the last look read
	memory memory
}

// run keeps the gate until ctx ends.
func (k *keeper) run(ctx context.Context) error {
	mending, ctx := errgroup.WithContext(ctx)
	mending.SetLimit(1)
	k.watch.First(ctx)
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	for {
		changed := k.watch.Changed()
		reason := k.look(ctx)
		if k.gate.set(reason) {
			k.tell(reason)
			if reason == nil {
				k.mender.succeeded() // or somebody else did
			}
		}
		seen := k.seen
		mending.TryGo(func() error { k.mender.mend(ctx, reason, seen); return nil })
		select {
		case <-changed:
			k.pool.Wake()
			k.repairs.Wake()
		case <-tick.C:
		case <-ctx.Done():
			return mending.Wait()
		}
	}
}

// tell logs that scanning goes on, or why it waits.
func (k *keeper) tell(reason error) {
	var broken held
	switch {
	case reason == nil:
		k.log.Info("scanning goes on")
	case errors.As(reason, &broken):
		k.log.WithField("reason", reason.Error()).Warn("scanning is held")
	default:
		k.log.WithField("reason", reason.Error()).Info("scanning waits")
	}
}

// look returns why nothing may be scanned now, nil if scanning may go on, and
// leaves word of it for the others.
func (k *keeper) look(ctx context.Context) error {
	state, err := k.watch.Now()
	if err != nil {
		reason := held{board.HoldPostgres, fmt.Sprintf("Postgres: %v", err)}
		k.post(ctx, reason)
		return reason
	}
	if reason := resting(state.Settings, time.Now()); reason != nil {
		return reason
	}
	ctx, cancel := context.WithTimeout(ctx, boardTimeout)
	defer cancel()
	now, err := k.board.Notices(ctx)
	if err != nil {
		return held{holdRedis, fmt.Sprintf("Redis: %v", err)}
	}
	reason := k.judge(state, now)
	k.seen = now
	k.post(ctx, reason)
	return reason
}

// judge returns the reason to hold, nil if there is none. Run and witness
// every process judges for itself; of the notices of others only those about
// the registry, and about listings that shrank, are taken.
func (k *keeper) judge(state postgres.State, now board.Notices) error {
	if err := state.Agrees(postgres.Remembered{}, k.mender.identity()); err != nil {
		return held{board.HoldRun, err.Error()}
	}
	if err := k.memory.compare(state, now.Run); err != nil {
		return err
	}
	if now.Hold.Kind != "" {
		return held{now.Hold.Kind, now.Hold.Reason}
	}
	if err := k.mender.ready(state, now.Witness); err != nil || now.Shrunk.Kind == "" {
		return err
	}
	return held{now.Shrunk.Kind, now.Shrunk.Reason}
}

// memory compares the run that Redis remembers with states of the database that
// were read after it: only they can show that the database was set back. In
// between its last word stands, as every look that passed a restored database
// would let scans through, until their numbers hide that it was restored.
type memory struct {
	remembered postgres.Remembered
	word       error
}

// compare compares, and remembers mark, which was just read. It returns
// errStarting until there was something to compare.
func (m *memory) compare(state postgres.State, mark board.RunMark) error {
	switch {
	case m.remembered.At.IsZero():
		m.word = errStarting
	case !m.remembered.At.Before(state.ReadAt):
		return m.word
	default:
		m.word = nil
		if err := state.Agrees(m.remembered, ""); err != nil {
			m.word = held{board.HoldRun, err.Error()}
		}
	}
	m.remembered = postgres.Remembered{Run: mark.Run, Scan: mark.Scan, At: time.Now()}
	return m.word
}

// post puts what this process found out by itself on the board, to be shown.
func (k *keeper) post(ctx context.Context, reason error) {
	var broken held
	if !errors.As(reason, &broken) {
		return
	}
	switch broken.kind {
	case board.HoldRegistry, board.HoldCatalog, board.HoldShrunk, holdRedis:
		return
	}
	ctx, cancel := context.WithTimeout(ctx, boardTimeout)
	defer cancel()
	notice := board.Hold{Kind: broken.kind, Reason: broken.reason, Since: time.Now(), By: k.process}
	if err := k.board.SetHold(ctx, notice, noticeFor); err != nil {
		k.log.WithError(err).Warn("the reason for holding could not be noted in Redis")
	}
}
