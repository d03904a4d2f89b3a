package cmd

import (
	"context"
	"time"
)

// clock is what another machine said the time was.
type clock struct {
	Of    string
	Ahead time.Duration // of ours; negative: behind
	Off   time.Duration // how far Ahead may be off
}

// newClock compares a reading with our own clock before and after it.
func newClock(of string, reading, before, after time.Time) clock {
	half := after.Sub(before) / 2
	return clock{Of: of, Ahead: reading.Sub(before.Add(half)), Off: half}
}

func (e *examination) clocks(context.Context) []finding {
	if len(e.readings) == 0 {
		return []finding{unchecked("clocks", "no part told the time: they")}
	}
	var findings []finding
	for _, c := range e.readings {
		findings = append(findings, judgeClock(c))
	}
	return findings
}

// judgeClock judges a difference that is certain. A registry refuses tokens
// that are a minute off; results are ordered by no clock.
func judgeClock(c clock) finding {
	const strange, broken = 5 * time.Second, time.Minute
	subject, todo := "clock of "+c.Of, "let both machines follow one time server (NTP)"
	difference := c.Ahead.Abs() - c.Off
	direction := "ahead of"
	if c.Ahead < 0 {
		direction = "behind"
	}
	switch {
	case difference >= broken:
		return fail(subject, todo, "%s %s ours: tokens signed here are refused there", c.Ahead.Abs().Round(time.Second), direction)
	case difference >= strange:
		return warn(subject, todo, "%s %s ours", c.Ahead.Abs().Round(time.Second), direction)
	default:
		return ok(subject, "as ours, to %s", max(c.Ahead.Abs(), time.Millisecond).Round(time.Millisecond))
	}
}
