package main

import (
	"slices"
	"strings"
	"testing"
	"time"
)

// The oracle's world: project 1 at g/app with the repositories "" and "web", of
// which GitLab knows "", and at second 10 renamed to g/new.
func newOracleWorld() *witness {
	w := &witness{begins: map[runOf]begin{{run: 2}: {scan: 5, at: clock(6)}, {run: 3}: {scan: 20, at: clock(20)}}, truth: &truth{
		tagged: []string{"g/app", "g/app/web"},
		epochs: []map[int64][]version{{1: {
			{path: "g/app", rows: map[string]bool{"": true}},
			{from: clock(10), path: "g/new", rows: map[string]bool{"": true}},
		}}},
	}}
	for run := range int64(4) { // whatever is missed was missed by a look before
		w.glances = append(w.glances, glance{ProjectID: 1, Run: run, Missing: []string{"", "wab", "web"}})
	}
	for s := range 40 { // a scan number and a look at the stash each second
		w.numbers = append(w.numbers, number{at: clock(s), last: int64(s)})
		w.looks = append(w.looks, look{begin: clock(s), end: clock(s)})
	}
	return w
}

func clock(n int) time.Time { return time.Unix(int64(n), 0) }

// right is what a scan of project 1 has to write.
func right(scan int64, at int) write {
	return write{ID: int64(at), At: clock(at), Op: "UPDATE", ProjectID: 1, Missing: []string{"web"}, New: row{
		Run: 1, Scan: scan, Status: completed, FullPath: "g/app", Method: "gitlab", Pages: 1, Listed: 2, Missing: 1,
	}}
}

// stashed is a result of project 1 that was in the stash from a second to
// another.
func stashed(scan int64, from, to int) (seen []sighting) {
	for at := from; at <= to; at++ {
		seen = append(seen, sighting{look: at, projectID: 1, scan: scan})
	}
	return seen
}

// with changes a write.
func with(w write, change func(*write)) write {
	change(&w)
	return w
}

func TestOracle(t *testing.T) {
	failed := row{Run: 1, Scan: 3, Failure: 3, Status: "failed", Error: "no"}
	renamed := func(scan int64, at int) write {
		return with(right(scan, at), func(w *write) {
			w.New.FullPath, w.New.Listed, w.New.Missing, w.Missing = "g/new", 0, 0, nil
		})
	}
	tests := []struct {
		name   string
		writes []write
		seen   []sighting
		forces []forced
		losses []time.Time
		pages  catalogPages
		want   string // what is counted; "": nothing
	}{
		{name: "a right row", writes: []write{right(3, 5)}},
		{
			name: "a name too many", want: "rows wrong",
			writes: []write{with(right(3, 5), func(w *write) { w.Missing, w.New.Missing = []string{"", "web"}, 2 })},
		},
		{
			name: "a name too few", want: "rows wrong",
			writes: []write{with(right(3, 5), func(w *write) { w.Missing, w.New.Missing = nil, 0 })},
		},
		{
			name: "another name", want: "rows wrong",
			writes: []write{with(right(3, 5), func(w *write) { w.Missing = []string{"wab"} })},
		},
		{
			name: "one listed too many", want: "rows wrong",
			writes: []write{with(right(3, 5), func(w *write) { w.New.Listed = 3 })},
		},
		{
			name: "another project's path", want: "rows wrong",
			writes: []write{with(right(3, 5), func(w *write) { w.New.FullPath = "g/other" })},
		},
		{
			name: "an empty listing", want: "rows wrong",
			writes: []write{with(right(3, 5), func(w *write) { w.Missing, w.New.Missing, w.New.Listed = nil, 0, 0 })},
		},
		{
			name: "a count that is not that of the names", want: "rows wrong",
			writes: []write{with(right(3, 5), func(w *write) { w.New.Missing = 2 })},
		},
		{name: "the old path just after a rename", writes: []write{right(8, 11)}},
		{name: "the old path long after a rename", want: "rows wrong", writes: []write{right(14, 16)}},
		{name: "the new path after a rename", writes: []write{renamed(12, 13)}},
		{
			name: "a scan from before a rename, written long after it", want: "",
			writes: []write{right(8, 9), with(renamed(11, 30), func(w *write) { w.Old = right(8, 9).New })},
			forces: []forced{{ids: map[int64]bool{1: true}, least: 9, most: 9}},
		},
		{name: "a row that is deleted", want: "rows wrong", writes: []write{with(right(3, 5), func(w *write) { w.Op, w.New = "DELETE", row{} })}},
		{
			name: "completed without pages", want: "rows completed without evidence",
			writes: []write{with(right(3, 5), func(w *write) { w.New.Pages = 0 })},
		},
		{
			name: "an older scan over a newer one", want: "older over newer",
			writes: []write{with(right(3, 5), func(w *write) { w.Old = right(4, 5).New })},
		},
		{
			name: "failed over completed", want: "older over newer",
			writes: []write{with(right(3, 5), func(w *write) { w.New, w.Old = failed, right(2, 4).New })},
		},
		{
			name: "an older failure over a newer one", want: "older over newer",
			writes: []write{with(right(3, 5), func(w *write) { w.Old = w.New; w.New.Failure, w.Old.Failure = 3, 4; w.Old.Scan = w.New.Scan })},
		},
		{
			name:   "completed over a newer failed one",
			writes: []write{with(right(3, 5), func(w *write) { w.Old = failed; w.Old.Scan = 4 })},
		},
		{
			name: "an earlier run over a later one", want: "older over newer",
			writes: []write{with(right(9, 9), func(w *write) { w.Old = right(2, 4).New; w.Old.Run = 2 })},
		},
		{
			name: "scanned again although in the table", want: "scans repeated although stashed",
			writes: []write{right(3, 4), right(7, 8)},
		},
		{
			name: "scanned again by force", writes: []write{right(3, 4), right(7, 8)},
			forces: []forced{{ids: map[int64]bool{1: true}, least: 4, most: 5}},
		},
		{
			name: "scanned again by a force from before", want: "scans repeated although stashed",
			writes: []write{right(3, 4), right(7, 8)},
			forces: []forced{{ids: map[int64]bool{1: true}, least: 1, most: 2}},
		},
		{
			name: "scanned again before a force", want: "scans repeated although stashed",
			writes: []write{right(3, 4), right(7, 8)},
			forces: []forced{{ids: map[int64]bool{1: true}, least: 9, most: 9}},
		},
		{
			name: "scanned again by another's force", want: "scans repeated although stashed",
			writes: []write{right(3, 4), right(7, 8)},
			forces: []forced{{ids: map[int64]bool{2: true}, least: 4, most: 5}},
		},
		{
			name:   "scanned again after a forced scan had failed",
			writes: []write{right(3, 4), with(right(3, 6), func(w *write) { w.Old = w.New; w.New.Failure, w.New.Error = 5, "no" }), right(9, 9)},
		},
		{name: "two scans at the same time", writes: []write{right(3, 7), right(4, 8)}},
		{
			name:   "scanned again in another run",
			writes: []write{right(3, 4), with(right(7, 8), func(w *write) { w.New.Run = 2 })},
		},
		{
			name: "scanned again although stashed throughout", want: "scans repeated although stashed",
			writes: []write{right(9, 9)},
			seen:   stashed(3, 4, 8),
		},
		{
			name: "scanned again although stashed, and written meanwhile", want: "scans repeated although stashed",
			writes: []write{right(3, 7), right(6, 8)},
			seen:   stashed(3, 2, 6),
		},
		{
			name: "scanned again after it was stashed, written and deleted", want: "rows wrong",
			writes: []write{right(3, 4), with(right(3, 5), func(w *write) { w.Op, w.New = "DELETE", row{} }), right(8, 9)},
			seen:   stashed(3, 2, 3),
		},
		{
			name:   "scanned again after the stash was lost",
			writes: []write{right(7, 9)}, losses: []time.Time{clock(5)},
			seen: stashed(3, 4, 4),
		},
		{
			name: "scanned again long after the stash was lost", want: "scans repeated although stashed",
			writes: []write{right(9, 9)}, losses: []time.Time{clock(-1)},
			seen: stashed(5, 5, 8),
		},
		{name: "scanned in another batch when it was stashed", writes: []write{right(5, 6)}, seen: stashed(4, 3, 5)},
		{
			name:   "scanned in another run although stashed in the one before",
			writes: []write{with(right(9, 9), func(w *write) { w.New.Run = 2 })},
			seen:   stashed(4, 5, 5),
		},
		{
			name: "scanned again after it vanished from the stash", want: "scans repeated although stashed, stashed results lost",
			writes: []write{right(9, 9)}, losses: []time.Time{clock(30)},
			seen: stashed(3, 4, 4),
		},
		{
			name:   "scanned again after it was discarded with its run",
			writes: []write{with(right(17, 19), func(w *write) { w.New.FullPath = "g/app"; w.New.Run = 2 })},
			seen:   stashed(3, 5, 5), want: "rows wrong",
		},
		{name: "gone from the stash unwritten", seen: stashed(3, 4, 4), writes: []write{right(2, 3)}, want: "stashed results lost"},
		{name: "gone from the stash and never written", seen: stashed(3, 4, 4), want: "stashed results lost"},
		{
			name: "gone from the stash before it was written", want: "stashed results lost",
			seen: stashed(3, 4, 4), writes: []write{right(3, 6)},
		},
		{name: "gone from the stash when it was written", seen: stashed(3, 4, 4), writes: []write{right(3, 5)}},
		{name: "gone from the stash when a later one had been written", seen: stashed(3, 4, 4), writes: []write{right(4, 4)}},
		{
			name: "gone from the stash with a failed one written", want: "stashed results lost", seen: stashed(2, 4, 4),
			writes: []write{with(right(3, 4), func(w *write) { w.New, w.Missing = failed, nil })},
		},
		{name: "replaced in the stash by a later one", seen: append(stashed(2, 4, 4), stashed(3, 5, 5)...), writes: []write{right(3, 6)}},
		{name: "gone from the stash as Redis lost it", seen: stashed(3, 14, 14), writes: []write{right(2, 3)}, losses: []time.Time{clock(13)}},
		{name: "gone from the stash as its project was renamed", seen: stashed(9, 10, 10), writes: []write{right(2, 3)}},
		{name: "gone from the stash with a number that was never given out", seen: stashed(50, 4, 4)},
		{name: "gone from the stash with a number that was given out much later", seen: stashed(12, 4, 4)},
		{name: "gone from the stash with a number to which only a run raised it", seen: stashed(20, 18, 18)},
		{name: "gone from the stash with its run", seen: stashed(4, 5, 5), writes: []write{right(2, 3)}},
		{name: "gone from the stash before the other run", seen: stashed(4, 4, 4), writes: []write{right(2, 3)}, want: "stashed results lost"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			w := newOracleWorld()
			w.writes, w.stashed = test.writes, test.seen
			v := w.judge(test.forces, test.losses, test.pages)
			for _, c := range v.counts() {
				want := 0
				if slices.Contains(strings.Split(test.want, ", "), c.what) {
					want = 1
				}
				if len(c.lines) != want {
					t.Errorf("%s: %d, want %d: %q", c.what, len(c.lines), want, c.lines)
				}
			}
		})
	}
}

func TestOracle_WhatWasMissedOnce(t *testing.T) {
	sweep := func(w *write) { w.New.Method = methodSweep }
	for name, test := range map[string]struct {
		glances []glance
		earlier []write
		change  func(*write)
		wrong   int
	}{
		"nothing was looked at":          {wrong: 1},
		"a look missed it":               {glances: []glance{{ProjectID: 1, Run: 1, Scan: 2, Missing: []string{"web"}}}},
		"a look missed something else":   {glances: []glance{{ProjectID: 1, Run: 1, Scan: 2, Missing: []string{""}}}, wrong: 1},
		"a look of another run":          {glances: []glance{{ProjectID: 1, Run: 2, Scan: 2, Missing: []string{"web"}}}, wrong: 1},
		"the look is the scan's own":     {glances: []glance{{ProjectID: 1, Run: 1, Scan: 3, Missing: []string{"web"}}}, wrong: 1},
		"a result said so before":        {earlier: []write{right(2, 2)}, wrong: 1},
		"a sweep keeps what a scan said": {earlier: []write{right(2, 2)}, change: sweep},
	} {
		t.Run(name, func(t *testing.T) {
			w := right(3, 5)
			if test.change != nil {
				test.change(&w)
			}
			o := &oracle{looksAt: map[int64][]glance{1: test.glances}, writesOf: map[int64][]write{1: append(test.earlier, w)}}
			if o.twice(w); len(o.wrong) != test.wrong {
				t.Errorf("wrong: %q, want %d", o.wrong, test.wrong)
			}
		})
	}
}
