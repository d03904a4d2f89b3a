package dashboard_test

import (
	"testing"
	"time"

	"regmend/dashboard"
)

func TestPace(t *testing.T) {
	type look struct {
		after  time.Duration
		number int64
		want   float64
	}
	for name, looks := range map[string][]look{
		"nothing is said at first":  {{0, 100, 0}, {10 * time.Second, 200, 0}},
		"then the average since":    {{0, 100, 0}, {20 * time.Second, 300, 10}, {40 * time.Second, 340, 6}},
		"of the last five minutes":  {{0, 0, 0}, {4 * time.Minute, 2400, 10}, {6 * time.Minute, 2640, 2}},
		"anew after nobody looked":  {{0, 0, 0}, {time.Hour, 9000, 0}, {time.Hour + 20*time.Second, 9020, 1}},
		"anew after Redis lost it":  {{0, 500, 0}, {20 * time.Second, 10, 0}, {40 * time.Second, 50, 2}},
		"standing still is no pace": {{0, 500, 0}, {time.Minute, 500, 0}},
	} {
		t.Run(name, func(t *testing.T) {
			var p dashboard.Pace
			start := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
			for _, l := range looks {
				if got := p.Show(start.Add(l.after), l.number); got != l.want {
					t.Errorf("after %s: pace = %v, want %v", l.after, got, l.want)
				}
			}
		})
	}
}
