package cmd

import (
	"context"
	"fmt"
	"time"

	"regmend/shared/postgres"
)

// brakeStatus is what the brake leaves of max_concurrency, as status --json has
// it.
type brakeStatus struct {
	Slots   int          `json:"slots"`
	UsualMS float64      `json:"usual_latency_ms"`       // of the registry's small answers; 0: not known
	LargeMS float64      `json:"usual_large_latency_ms"` // of its large ones
	Steps   []brakeTaken `json:"steps"`                  // the run's last ones, the newest first
}

type brakeTaken struct {
	At     time.Time `json:"at"`
	Was    int       `json:"was"`
	Slots  int       `json:"slots"`
	Reason string    `json:"reason"`
}

// stepsTold is how many steps are worth telling, and stepsShown to people.
const stepsTold, stepsShown = 20, 5

// readKindness reads what keeps regmend below max_concurrency.
func (l *looker) readKindness(ctx context.Context, s *status, state postgres.State, now time.Time) error {
	s.RequestsPerSecond = state.Settings.PerSecond
	s.ActiveHours = state.Settings.ActiveHours.String()
	if !state.Settings.ActiveHours.Include(now) {
		s.more.rests = true
		if next, ok := state.Settings.ActiveHours.Next(now); ok {
			s.ResumesAt = &next
		}
	}
	if !state.Settings.Brake {
		return nil
	}
	s.Brake = &brakeStatus{Slots: state.Slots(), Steps: []brakeTaken{}}
	steps, err := l.db.BrakeSteps(ctx, stepsTold)
	for _, step := range steps {
		if step.Run != state.Run.ID {
			break
		}
		s.Brake.Steps = append(s.Brake.Steps, brakeTaken{step.At, step.Was, step.Slots, step.Reason})
	}
	if len(s.Brake.Steps) > 0 {
		s.Brake.UsualMS, s.Brake.LargeMS = milliseconds(steps[0].Usual.Small), milliseconds(steps[0].Usual.Large)
	}
	return err
}

func milliseconds(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

// text says what the brake does, and what led to it.
func (b *brakeStatus) text(most int) string {
	if b == nil {
		return "off"
	}
	text := fmt.Sprintf("leaves %d of %s", b.Slots, counted(most, "slot", "slots"))
	switch {
	case b.Slots >= most:
		text = fmt.Sprintf("on, and leaves all %s", counted(most, "slot", "slots"))
	case len(b.Steps) == 0:
		text = fmt.Sprintf("on, and begins with %d of %d slots", b.Slots, most)
	}
	for _, step := range b.Steps[:min(len(b.Steps), stepsShown)] {
		text += fmt.Sprintf("\n%14s%s  %2d → %2d  %s", "",
			step.At.Local().Format(time.DateTime), step.Was, step.Slots, printable(step.Reason))
	}
	return text
}

// restsText says when scanning goes on by the active hours.
func (s *status) restsText() string {
	text := "enabled, but outside of active_hours " + s.ActiveHours
	if s.ResumesAt != nil {
		text += ": goes on at " + s.ResumesAt.Format("2006-01-02 15:04 MST")
	}
	return text
}
