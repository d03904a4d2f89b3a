package consumer

import (
	"context"
	"errors"
	"time"

	"regmend/shared/board"
	"regmend/shared/postgres"
	"regmend/shared/slots"

	"github.com/redis/go-redis/v9"
	"github.com/sirupsen/logrus"
)

const (
	// brakeLook is how often the brakeman looks, and brakeLease how long the
	// others wait for one that died.
	brakeLook, brakeLease = time.Second, 5 * time.Second
	// brakeLock is of the lock under which one consumer brakes for all.
	brakeLock = "brake"
)

// brakeman works the brake: every consumer reports what the registry answered
// it, and one of them decides for all, by what all have reported.
type brakeman struct {
	log     logrus.FieldLogger
	process string
	db      *postgres.DB
	watch   *postgres.Watch
	board   *board.Board
	rdb     redis.UniversalClient
	metrics *Metrics

	brake *brake // nil: another consumer decides, or nobody
	last  int64  // the ID of the step that brake goes on from
}

// run works the brake until ctx ends.
func (m *brakeman) run(ctx context.Context) error {
	tick := time.NewTicker(brakeLook)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil
		}
		if err := m.look(ctx); err != nil && ctx.Err() == nil {
			m.missed()
			m.log.WithError(err).Debug("the brake stays as it is")
		}
	}
}

// missed keeps what the brake knows: one look that failed is soon made good.
func (m *brakeman) missed() {
	if m.brake != nil {
		m.brake.begin(time.Now())
	}
}

// look reports, and decides where that is this consumer's part.
func (m *brakeman) look(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, boardTimeout)
	defer cancel()
	seen := m.metrics.traffic.take()
	state, err := m.watch.Now()
	if err != nil {
		return err
	}
	if !state.Settings.Brake || resting(state.Settings, time.Now()) != nil || state.Run.ID == 0 {
		m.brake = nil
		return nil
	}
	all, mine, err := m.board.ReportTraffic(ctx, brakeLock, m.process, brakeLease, seen)
	if err != nil {
		return err
	}
	if !mine {
		m.brake = nil
		return nil
	}
	now := time.Now()
	if m.brake == nil || m.brake.run != state.Run.ID || state.Brake.ID > m.last {
		// What came until now is of an unknown time, or of another number of slots.
		m.brake, m.last = newBrake(state, now), state.Brake.ID
		return nil
	}
	used, err := slots.InUse(ctx, m.rdb)
	if err != nil {
		return err
	}
	most := state.Settings.MaxConcurrency
	was := min(m.brake.slots, most)
	v := m.brake.observe(now, all, used, most)
	if v.slots == 0 {
		return nil
	}
	return m.take(ctx, now, was, v)
}

// take takes a step, unless another consumer did. One that leaves everything as
// it is is not worth a record.
func (m *brakeman) take(ctx context.Context, now time.Time, was int, v verdict) error {
	if v.slots == was {
		m.brake.step(now, was, v)
		return nil
	}
	step, err := m.db.TakeStep(ctx, m.last, postgres.BrakeStep{
		Run: m.brake.run, By: m.process, Was: was, Slots: v.slots, Usual: m.brake.known(), Reason: v.reason,
	})
	if errors.Is(err, postgres.ErrStepTaken) {
		m.brake = nil
		return nil
	}
	if err != nil {
		return err
	}
	m.brake.step(now, was, v)
	m.last = step.ID
	m.metrics.braked(v.cause)
	m.log.WithFields(logrus.Fields{"slots": v.slots, "was": was, "reason": v.reason}).Info("the brake takes a step")
	return nil
}
