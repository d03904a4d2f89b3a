package main

import (
	"testing"

	"regmend/shared/registry/registrytest"
)

func TestCapExceeded(t *testing.T) {
	var c caps
	c.changed(clock(0), clock(0), 2)
	c.changed(clock(10), clock(11), 1)
	c.changed(clock(20), clock(21), 3)
	at := func(start, end int, kind registrytest.Kind) request {
		return request{start: clock(start), end: clock(end), kind: kind}
	}
	const list = registrytest.List
	tests := []struct {
		name     string
		requests []request
		want     int
	}{
		{"as many as the cap", []request{at(1, 5, list), at(2, 5, list)}, 0},
		{"one more than the cap", []request{at(1, 5, list), at(2, 5, list), at(3, 5, list)}, 1},
		{"one after the other", []request{at(1, 2, list), at(2, 3, list), at(3, 4, list), at(4, 5, list)}, 0},
		{"one that never ended", []request{{start: clock(1), kind: list}, at(5, 6, list), at(5, 7, list)}, 1},
		{"the larger cap of two seconds ago", []request{at(12, 14, list), at(12, 14, list)}, 0},
		{"the larger cap of four seconds ago", []request{at(15, 16, list), at(15, 16, list)}, 1},
		{"a larger cap from when it was asked for", []request{at(20, 21, list), at(20, 21, list), at(20, 21, list)}, 0},
		{"who the registry is", []request{at(1, 5, list), at(2, 5, list), at(3, 5, registrytest.Probe)}, 0},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if over := c.exceeded(test.requests); len(over) != test.want {
				t.Errorf("%d, want %d: %q", len(over), test.want, over)
			}
		})
	}
}
