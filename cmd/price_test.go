package cmd_test

import (
	"strings"
	"testing"
	"time"

	"regmend/cmd"

	gocmp "github.com/google/go-cmp/cmp"
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

// The brake's number is where the registry was, the cap is what is allowed.
func TestPriceText(t *testing.T) {
	price := cmd.Price{
		Projects: 24_000, Requests: 24_000, Latency: 20 * time.Millisecond, Slots: 16, Left: 4,
		PerSecond: 500, Hours: "22:00-06:00 Europe/Berlin",
	}
	const want = `requests          at least 24,000, for 24,000 projects
a request takes   20ms, as measured now
allowed           16 requests at once, at most 500 a second, within 22:00-06:00 Europe/Berlin only
estimated time    about 53 s
with the brake    about 2 min, as it leaves 4 slots now
`
	if diff := gocmp.Diff(want, price.Text()); diff != "" {
		t.Errorf("text (-want +got):\n%s", diff)
	}
	price.PerSecond = 10 // the slots are no matter then
	if text := price.Text(); strings.Contains(text, "with the brake") {
		t.Errorf("the brake is told of where it changes nothing:\n%s", text)
	}
}
