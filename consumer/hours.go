package consumer

import (
	"time"

	"regmend/shared/postgres"
)

// outside is why nothing is scanned outside of these active_hours.
type outside struct{ hours string }

func (o outside) Error() string { return "it is outside of active_hours " + o.hours }

// resting tells why nobody is to ask the registry for anything now, though
// nothing is broken; nil: it may be asked.
func resting(s postgres.Settings, now time.Time) error {
	switch {
	case !s.ScanEnabled:
		return errDisabled
	case s.MaxConcurrency <= 0:
		return errCapZero
	case !s.ActiveHours.Include(now):
		return outside{s.ActiveHours.String()}
	default:
		return nil
	}
}
