package main

import (
	"context"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// What a whole run has to have: every outage three times at least, once of it
// in a quiet window, and a thousand faults.
func TestScheduleHasEveryKind(t *testing.T) {
	kinds := allKinds()
	counts, quiet, all := map[string]int{}, map[string]int{}, 0
	for _, s := range schedule(1, kinds, 1000) {
		if s.quiet != nil {
			quiet[s.quiet.name]++
			counts[s.quiet.name]++
			all++
		}
		for _, lane := range s.lanes {
			for _, k := range lane {
				if k.group() != lane[0].group() {
					t.Errorf("%s: two groups in one lane", s)
				}
				counts[k.name]++
				all++
			}
		}
		for _, k := range s.singles {
			counts[k.name] += s.times(k)
			all += s.times(k)
		}
	}
	for _, k := range kinds {
		switch {
		case k.impossible != "":
			t.Logf("%s is not possible here: %s", k.name, k.impossible)
		case counts[k.name] < 3:
			t.Errorf("%s comes up %d times, want 3", k.name, counts[k.name])
		case !k.single() && quiet[k.name] == 0:
			t.Errorf("%s is in no quiet window", k.name)
		}
	}
	if all < 1000 {
		t.Errorf("%d faults, want 1000", all)
	}
}

func TestSameSeedSameSchedule(t *testing.T) {
	text := func(seed uint64) string {
		var steps strings.Builder
		for _, s := range schedule(seed, allKinds(), 1000) {
			steps.WriteString(s.String() + "\n")
		}
		return steps.String()
	}
	if diff := cmp.Diff(text(1), text(1)); diff != "" {
		t.Errorf("the same seed gives another schedule:\n%s", diff)
	}
	if text(1) == text(2) {
		t.Error("two seeds give the same schedule")
	}
	s := schedule(1, allKinds(), 1000)[3]
	if s.dice(1, 0, 0).Uint64() != s.dice(1, 0, 0).Uint64() || s.dice(1, 0, 0).Uint64() == s.dice(1, 0, 1).Uint64() {
		t.Error("the dice of a fault depend on something else than seed and place")
	}
}

func TestSelectKinds(t *testing.T) {
	nothing := func(context.Context, *installation, *rand.Rand) (healed, error) { return healed{}, nil }
	all := []kind{{name: "a/x", inject: nothing}, {name: "a/y", inject: nothing}, {name: "sweep/x", inject: nothing}, {name: "b/x", inject: nothing}}
	for list, want := range map[string]string{"": "  a/x\n  a/y\n  b/x\n", "sweep": "  sweep/x\n", "a": "  a/x\n  a/y\n", "b/x, a/y": "  b/x\n  a/y\n"} {
		selected, err := selectKinds(all, list)
		if err != nil || names(selected) != want {
			t.Errorf("selectKinds(%q) = %q, %v, want %q", list, names(selected), err, want)
		}
	}
	if _, err := selectKinds(all, "a,c"); err == nil || !strings.Contains(err.Error(), `"c"`) {
		t.Errorf("error %v, want one that names c", err)
	}
}
