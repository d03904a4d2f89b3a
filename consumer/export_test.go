package consumer

import (
	"time"

	"regmend/shared/board"
	"regmend/shared/postgres"
)

// NewQueueLog is what asynq logs to.
var NewQueueLog = newQueueLog

// Brake is what decides of the brake, without what it is connected to.
type Brake struct{ brake *brake }

// NewBrake makes one that has not taken a step yet.
func NewBrake(now time.Time) *Brake { return &Brake{newBrake(postgres.State{}, now)} }

// Slots is how many it leaves.
func (b *Brake) Slots() int { return b.brake.slots }

// Look is one look: it observes, and takes the step that follows. reason is ""
// if none does.
func (b *Brake) Look(now time.Time, seen board.Traffic, used, most int) (was int, reason string) {
	was = min(b.brake.slots, most)
	v := b.brake.observe(now, seen, used, most)
	if v.slots != 0 {
		b.brake.step(now, was, v)
	}
	return was, v.reason
}

// Pauses are those between tries of which it is told whether they got further.
func Pauses(gotFurther ...bool) (between []time.Duration) {
	var p pauses
	for _, further := range gotFurther {
		between = append(between, p.after(further))
	}
	return between
}
