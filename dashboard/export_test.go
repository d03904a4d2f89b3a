package dashboard

import "time"

// Pace lets tests show a pace what no server could in a second.
type Pace struct{ pace }

// Show is pace.show.
func (p *Pace) Show(at time.Time, number int64) float64 { return p.show(at, number) }
