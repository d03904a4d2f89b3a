package cmd

import (
	"time"

	"regmend/shared/postgres"
)

// judgeKindness tells what keeps regmend below max_concurrency now.
func judgeKindness(state postgres.State, now time.Time) []finding {
	findings := []finding{judgeBrake(state, now)}
	s := state.Settings
	if s.PerSecond > 0 {
		findings = append(findings, ok("setting requests_per_second", "%s a second, over all consumers", counted(s.PerSecond, "request", "requests")))
	}
	if text := s.ActiveHours.String(); text != "" {
		findings = append(findings, judgeHours(s.ActiveHours, text, now))
	}
	return findings
}

// climbs is for how long after a step up the brake may be about to take another.
const climbs = time.Minute

func judgeBrake(state postgres.State, now time.Time) finding {
	const subject = "setting brake"
	most, left, last := state.Settings.MaxConcurrency, state.Slots(), state.Brake
	switch {
	case !state.Settings.Brake:
		return ok(subject, "off: a registry that is slow or fails is asked as much as any")
	case left == most:
		return ok(subject, "on, and leaves %s", counted(left, "slot", "slots"))
	case last.ID == 0 || last.Run != state.Run.ID:
		return ok(subject, "on, and begins with %d of %d slots", left, most)
	case last.Slots > last.Was && now.Sub(last.At) < climbs:
		return ok(subject, "it leaves %d of %d slots, and gives them back while the registry is well", left, most)
	case 2*left <= most:
		return warn(subject, "the registry bears no more: mend that, or lower max_concurrency; regmend status shows what the brake did",
			"it leaves %d of %d slots: %s", left, most, last.Reason)
	default:
		return ok(subject, "it leaves %d of %d slots: %s", left, most, last.Reason)
	}
}

func judgeHours(h postgres.Hours, text string, now time.Time) finding {
	const subject = "setting active_hours"
	if h.Include(now) {
		return ok(subject, "%s; now is within them", text)
	}
	next, some := h.Next(now)
	if !some {
		return warn(subject, "regmend settings set active_hours '' for always", "%s: nothing is scanned for days", text)
	}
	return ok(subject, "%s; nothing is scanned before %s", text, next.Format("2006-01-02 15:04 MST"))
}
