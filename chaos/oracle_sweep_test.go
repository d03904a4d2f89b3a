package main

import (
	"slices"
	"strings"
	"testing"
	"time"
)

// newSweptWorld is the oracle's world with a sweep of scan number 3, which kept
// project 1 at second 4 and had read two pages at second 6. The registry has one
// repository more, without tags. Whatever project 1 was until second 6, it is
// g/app from then on.
func newSweptWorld() (*witness, catalogPages) {
	w := newOracleWorld()
	w.truth.pushed = []string{"g/app", "g/app/empty", "g/app/web"}
	w.truth.epochs[0][1] = []version{{path: "g/app", rows: map[string]bool{"": true}}}
	for i, c := range []course{
		{State: preparing, At: clock(3)},
		{State: walking, At: clock(4)},
		{State: walking, At: clock(5), Pages: 1},
		{State: judging, At: clock(6), Pages: 2},
		{State: judging, At: clock(9), Pages: 2, Cursor: 10},
		{State: done, At: clock(12), Pages: 2, Cursor: 10},
	} {
		c.ID, c.Sweep, c.Run, c.Scan = int64(i), 1, 1, 3
		w.courses = append(w.courses, c)
	}
	return w, catalogPages{given: []time.Time{clock(5), clock(6)}}
}

// proven is what the sweep has to write.
func proven(at int) write {
	return with(right(3, at), func(w *write) { w.New.Method, w.New.Pages, w.New.Listed = methodSweep, 2, 3 })
}

func TestOracleOfSweeps(t *testing.T) {
	movedAway := func(from, to int) func(*witness, *catalogPages) {
		return func(w *witness, _ *catalogPages) {
			v := w.truth.epochs[0][1][0]
			w.truth.epochs[0][1] = []version{v, {from: clock(from), path: "g/away"}, {from: clock(to), path: v.path, rows: v.rows}}
		}
	}
	over := func(contradiction string) write {
		return with(proven(8), func(w *write) { w.Old = right(2, 4).New; w.New.Contradiction = contradiction })
	}
	sweep := func(change func(c []course) []course) func(*witness, *catalogPages) {
		return func(w *witness, _ *catalogPages) { w.courses = change(w.courses) }
	}
	tests := []struct {
		name   string
		writes []write
		seen   []sighting
		change func(*witness, *catalogPages)
		want   string // what is counted; "": nothing
	}{
		{name: "a right row", writes: []write{proven(8)}},
		{
			name: "before the walk had ended", want: "rows completed without evidence",
			writes: []write{proven(5)},
		},
		{
			name: "without a walk", want: "rows completed without evidence",
			writes: []write{proven(8)}, change: func(w *witness, _ *catalogPages) { w.courses = nil },
		},
		{
			name: "another run's walk", want: "rows completed without evidence",
			writes: []write{with(proven(8), func(w *write) { w.New.Run = 2 })},
		},
		{
			name: "another number of pages", want: "rows completed without evidence",
			writes: []write{with(proven(8), func(w *write) { w.New.Pages = 3 })},
		},
		{
			name: "pages that the registry did not give", want: "rows completed without evidence",
			writes: []write{proven(8)}, change: func(_ *witness, p *catalogPages) { p.given = []time.Time{clock(3), clock(5), clock(7)} },
		},
		{
			name: "renamed and back after it was kept", want: "rows completed without evidence",
			writes: []write{proven(9)}, change: movedAway(5, 6),
		},
		{name: "renamed and back before it was kept", writes: []write{proven(9)}, change: movedAway(2, 3)},
		{name: "renamed as it was written", writes: []write{proven(9)}, change: movedAway(8, 20)},
		{
			name: "one listed too few", want: "rows wrong",
			writes: []write{with(proven(8), func(w *write) { w.New.Listed = 2 })},
		},
		{
			name: "one listed too many", want: "rows wrong",
			writes: []write{with(proven(8), func(w *write) { w.New.Listed = 4 })},
		},
		{
			name:   "one listed too many of pages given twice",
			writes: []write{with(proven(8), func(w *write) { w.New.Listed = 4 })},
			change: func(_ *witness, p *catalogPages) { p.double = []time.Time{clock(5)} },
		},
		{
			name: "one listed too many, other pages given twice", want: "rows wrong",
			writes: []write{with(proven(8), func(w *write) { w.New.Listed = 4 })},
			change: func(_ *witness, p *catalogPages) { p.double = []time.Time{clock(3), clock(7)} },
		},
		{name: "a zero of a project that misses something", want: "rows wrong", writes: []write{
			with(proven(8), func(w *write) { w.Missing, w.New.Missing = nil, 0 }),
		}},
		{name: "in the place of a scan that it contradicts", writes: []write{over("no")}},
		{name: "in the place of a scan that it agrees with", writes: []write{over("")}, want: "scans repeated although stashed"},
		{name: "although a scan was stashed", writes: []write{proven(8)}, seen: stashed(2, 0, 8)},
		{
			name: "scanned again although a sweep had proven it", want: "scans repeated although stashed",
			writes: []write{proven(8), right(10, 12)},
		},
		{
			name: "scanned before the sweep's transaction was through",
			writes: []write{
				with(proven(8), func(w *write) { w.XID = "7" }), right(10, 12),
				with(right(4, 10), func(w *write) { w.XID, w.ProjectID, w.New, w.Missing = "7", 2, row{}, nil }),
			},
		},
		{
			name: "a page read again", want: "older over newer",
			change: sweep(func(c []course) []course { return slices.Insert(c, 3, c[1]) }),
		},
		{
			name: "a part judged again", want: "older over newer",
			change: sweep(func(c []course) []course { return slices.Insert(c, 5, c[3]) }),
		},
		{
			name: "gone on with after its end", want: "older over newer",
			change: sweep(func(c []course) []course { return append(c, c[5]) }),
		},
		{
			name:   "repositories that are somebody's or nobody's",
			change: sweep(func(c []course) []course { c[3].Repositories, c[3].Listed, c[3].Unowned = 5, 3, 2; return c }),
		},
		{
			name: "a repository counted twice", want: "rows wrong",
			change: sweep(func(c []course) []course { c[3].Repositories, c[3].Listed, c[3].Unowned = 5, 4, 2; return c }),
		},
		{
			name: "begun anew under another number",
			change: sweep(func(c []course) []course {
				again := c[0]
				again.Scan = 4
				return append(c[:3:3], again)
			}),
		},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			w, pages := newSweptWorld()
			if test.change != nil {
				test.change(w, &pages)
			}
			w.writes, w.stashed = test.writes, test.seen
			v := w.judge(nil, nil, pages)
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
