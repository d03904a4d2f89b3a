package dashboard

import "time"

const (
	paceOver  = 5 * time.Minute  // what the pace is an average of
	paceStep  = 5 * time.Second  // between two samples that are kept
	paceAfter = 15 * time.Second // less says nothing yet
)

// pace tells from a growing number how fast it grows. It knows only what it was
// shown: after nobody looked for a while it starts anew.
type pace struct {
	samples []sample
}

type sample struct {
	at     time.Time
	number int64
}

// show notes the number and returns how much it grows in a second; 0 if that
// cannot be said.
func (p *pace) show(at time.Time, number int64) float64 {
	if n := len(p.samples); n > 0 && number < p.samples[n-1].number {
		p.samples = nil // Redis lost the number: it began again
	}
	for len(p.samples) > 0 && at.Sub(p.samples[0].at) > paceOver {
		p.samples = p.samples[1:]
	}
	if n := len(p.samples); n == 0 || at.Sub(p.samples[n-1].at) >= paceStep {
		p.samples = append(p.samples, sample{at, number})
	}
	first := p.samples[0]
	if since := at.Sub(first.at); since >= paceAfter {
		return float64(number-first.number) / since.Seconds()
	}
	return 0
}
