package cmd_test

import (
	"testing"
	"time"

	"regmend/cmd"
)

func TestPrice(t *testing.T) {
	const ms = time.Millisecond
	for name, test := range map[string]struct {
		price cmd.Price
		want  time.Duration
	}{
		"slots decide":           {cmd.Price{Requests: 1_000_000, Latency: 20 * ms, Slots: 8}, 2500 * time.Second},
		"the rate decides":       {cmd.Price{Requests: 900, Latency: 20 * ms, Slots: 8, PerSecond: 10}, 100 * time.Second},
		"the rate is no matter":  {cmd.Price{Requests: 900, Latency: time.Second, Slots: 1, PerSecond: 10}, 900 * time.Second},
		"nothing is nothing":     {cmd.Price{Latency: 20 * ms, Slots: 8, PerSecond: 10}, 0},
		"without slots for ever": {cmd.Price{Requests: 1, Latency: 20 * ms}, -1},
	} {
		if got := test.price.Takes(); got != test.want {
			t.Errorf("%s: %s, want %s", name, got, test.want)
		}
	}
	if got := (cmd.Price{Requests: 1 << 60, Latency: time.Hour, Slots: 1}).Takes(); got < 100*365*24*time.Hour {
		t.Errorf("a price beyond counting takes %s", got)
	}
}
