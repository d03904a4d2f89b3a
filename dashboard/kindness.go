package dashboard

import (
	"fmt"
	"time"

	"regmend/shared/postgres"
)

// brakeLine says what the brake leaves of the cap, "" where that is all of it.
func brakeLine(s snapshot) string {
	most, left := s.state.Settings.MaxConcurrency, s.state.Slots()
	if s.postgresErr != nil || left >= most {
		return ""
	}
	line := fmt.Sprintf("the brake leaves %s of %s", number(left), number(most))
	if last := s.state.Brake; last.ID != 0 && last.Run == s.state.Run.ID {
		line += fmt.Sprintf(", for %s: %s", span(age(s.at, last.At)), last.Reason)
	}
	return line
}

// rateLine says what keeps regmend from asking more often, "" if nothing does.
func rateLine(s snapshot) string {
	rate := s.state.Settings.PerSecond
	switch {
	case s.postgresErr != nil || rate == 0:
		return ""
	case rate == 1:
		return "at most 1 request a second"
	default:
		return fmt.Sprintf("at most %s requests a second", number(rate))
	}
}

// restNotice says that nothing is scanned at this time of day.
func restNotice(s snapshot) notice {
	hours := s.state.Settings.ActiveHours
	n := notice{
		Tone: "off", Title: "Outside of the active hours",
		Detail: "Scanning is limited to " + hours.String() + ". What was scanned is still written.",
	}
	if next, ok := hours.Next(s.at); ok {
		n.Since = fmt.Sprintf("It goes on in %s, at %s.", span(next.Sub(s.at)), next.Format("15:04 MST"))
	}
	return n
}

func (out scrape) kindness(s snapshot) {
	settings := s.state.Settings
	out.gauge("requests_per_second", "How many requests may be sent to the registry in a second, over all consumers; 0: no limit.", float64(settings.PerSecond))
	out.gauge("brake_slots", "How many slots the brake leaves, max_concurrency at most.", float64(s.state.Slots()))
	var usual postgres.Latency
	if s.state.Brake.Run == s.state.Run.ID {
		usual = s.state.Brake.Usual
	}
	for kind, latency := range map[string]time.Duration{"small": usual.Small, "large": usual.Large} {
		out.seconds("brake_usual_latency_seconds", "The registry's latency while nothing waits in it, as the brake's last step knew it; 0: not known.",
			latency, label{"answers", kind})
	}
	out.flag("active_now", "Whether it is within active_hours.", settings.ActiveHours.Include(s.at))
}
