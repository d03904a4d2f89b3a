package main

import (
	"bytes"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

func TestSameSeedMakesTheSameGitLab(t *testing.T) {
	unexported := cmp.AllowUnexported(gitLab{}, group{}, project{}, repository{})
	if diff := cmp.Diff(newGitLab(300, 7), newGitLab(300, 7), unexported); diff != "" {
		t.Errorf("two of seed 7 differ:\n%s", diff)
	}
	a, b := newGitLab(300, 7), newGitLab(300, 8)
	if cmp.Equal(a.chooseLost(7), b.chooseLost(8), cmpopts.EquateEmpty()) {
		t.Error("seeds 7 and 8 lose the same")
	}
}

func TestLossLeavesMostRows(t *testing.T) {
	for seed := range uint64(20) {
		g := newGitLab(1000, seed)
		images, lost := len(g.imagePaths()), count(g.chooseLost(seed))
		if lost == 0 || lost > images/3 {
			t.Errorf("seed %d: %d of %d repositories lost", seed, lost, images)
		}
	}
}

func TestCompare(t *testing.T) {
	g := &gitLab{projects: newGitLab(3, 1).projects}
	for name, c := range map[string]struct {
		found map[int64][]string
		want  int
	}{
		"all found":           {map[int64][]string{1: {"", "app"}, 2: {"cache"}}, 0},
		"one not found":       {map[int64][]string{1: {"app"}, 2: {"cache"}}, 1},
		"project not found":   {map[int64][]string{2: {"cache"}}, 2},
		"found and not lost":  {map[int64][]string{1: {"", "app"}, 2: {"cache"}, 3: {"nginx"}}, 1},
		"found another":       {map[int64][]string{1: {"", "app"}, 2: {"nginx"}}, 2},
		"of unknown projects": {map[int64][]string{1: {"", "app"}, 2: {"cache"}, 99: {"nginx"}}, 1},
	} {
		t.Run(name, func(t *testing.T) {
			var out bytes.Buffer
			got := newScreen(&out).compare(g, map[int64][]string{1: {"", "app"}, 2: {"cache"}}, c.found)
			if got != c.want {
				t.Errorf("compare() = %d, want %d", got, c.want)
			}
			if (c.want == 0) == strings.Contains(out.String(), "✗") {
				t.Errorf("%d differences are shown as\n%s", c.want, out.String())
			}
		})
	}
}
