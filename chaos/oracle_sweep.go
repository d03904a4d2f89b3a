package main

import (
	"cmp"
	"fmt"
	"slices"
	"time"
)

// methodSweep is the evidence's word for what a sweep proved.
const methodSweep = "sweep"

// catalogPages are when the registry gave pages of its catalog, as they are and,
// as a fault had it, again in the place of others.
type catalogPages struct {
	given  []time.Time
	double []time.Time
}

// within counts the times from one to another.
func within(times []time.Time, from, to time.Time) int {
	n := 0
	for _, at := range times {
		if !at.Before(from) && !at.After(to) {
			n++
		}
	}
	return n
}

// fresh tells whether the write brought a completed result.
func (w write) fresh() bool {
	return w.New.Status == completed && (w.Op != "UPDATE" || w.New.Scan != w.Old.Scan)
}

// proof holds what a sweep wrote to its evidence: the walk had ended, and had
// so many pages; the project was kept before it and is what it was then.
func (o *oracle) proof(w write) {
	if w.New.Method != methodSweep || !w.fresh() {
		return
	}
	if why := o.unproved(w); why != "" {
		o.unproven = append(o.unproven, fmt.Sprintf("%s: %s", w, why))
	}
	if w.Op == "UPDATE" && w.Old.Status == completed && w.Old.Run == w.New.Run && w.New.Contradiction == "" {
		o.repeated = append(o.repeated, fmt.Sprintf("%s: in the place of scan %d, which it does not contradict", w, w.Old.Scan))
	}
}

// unproved says why the result is not proven, "" if it is.
func (o *oracle) unproved(w write) string {
	walk := o.walk(w)
	switch {
	case walk.kept.IsZero() || walk.end.IsZero() || walk.end.After(w.At):
		return fmt.Sprintf("no walk of %d pages had ended", w.New.Pages)
	case walk.given < w.New.Pages:
		return fmt.Sprintf("the registry had given %d pages, not %d", walk.given, w.New.Pages)
	}
	if settled := w.At.Add(-late); settled.After(walk.kept) {
		paths := o.truth.between(w.Epoch, w.ProjectID, walk.kept, settled)
		if slices.ContainsFunc(paths, func(v version) bool { return v.path != paths[0].path }) {
			return "its project was renamed after the walk had begun"
		}
	}
	return ""
}

// walk is one through the catalog.
type walk struct {
	kept, end time.Time // when the projects had been kept, and when its last page was judged
	given     int       // pages that the registry gave meanwhile
	doubled   int       // and of those, in the place of others
}

// walkKey is what a result says of the walk that proves it.
type walkKey struct {
	run, scan int64
	pages     int
}

// walk is the one that the write rests on; its times are zero if there was none.
func (o *oracle) walk(w write) walk {
	key := walkKey{w.New.Run, w.New.Scan, w.New.Pages}
	found, known := o.walks[key]
	if known {
		return found
	}
	for _, c := range o.courses {
		switch {
		case c.Scan != key.scan || c.Run != key.run:
		case c.State == walking && found.kept.IsZero():
			found.kept = c.At
		case c.State == judging && c.Pages == key.pages && found.end.IsZero():
			found.end = c.At
		}
	}
	found.given = within(o.pages.given, found.kept, found.end)
	found.doubled = within(o.pages.double, found.kept, found.end)
	o.walks[key] = found
	return found
}

// lists tells whether the write says rightly how many of the project's the
// registry listed. The catalog has those without tags, too.
func (o *oracle) lists(w write, v version) bool {
	if w.New.Method != methodSweep {
		_, listed := o.truth.missing(v.path, v)
		return w.New.Listed == listed
	}
	held := o.truth.held(v.path)
	return w.New.Listed == held || w.New.Listed > held && o.walk(w).doubled > 0
}

// stages are the states of a sweep by their order.
var stages = map[string]int{preparing: 0, walking: 1, judging: 2, done: 3, failed: 3}

// returns complains of sweeps that counted a repository twice, or went back: what was done was to be done
// again, or one that had ended went on. Only a walk begun anew may, with another
// scan number.
func (o *oracle) returns() {
	last := map[[2]int64]course{}
	for _, c := range o.courses {
		if c.Listed+c.Unowned > c.Repositories {
			o.wrong = append(o.wrong, fmt.Sprintf("sweep %d counted %d repositories as projects' and %d as nobody's, of %d that it read",
				c.Sweep, c.Listed, c.Unowned, c.Repositories))
		}
		key := [2]int64{int64(c.Epoch), c.Sweep}
		was, known := last[key]
		last[key] = c
		if !known {
			continue
		}
		order := cmp.Or(cmp.Compare(c.Scan, was.Scan), cmp.Compare(stages[c.State], stages[was.State]),
			cmp.Compare(c.Pages, was.Pages))
		if same := c.Scan == was.Scan && c.State == was.State && c.Pages == was.Pages; order < 0 || ended(was.State) || same && c.Cursor < was.Cursor {
			o.backwards = append(o.backwards, fmt.Sprintf("sweep %d was %s at page %d and cursor %d, and then %s at page %d and cursor %d",
				c.Sweep, was.State, was.Pages, was.Cursor, c.State, c.Pages, c.Cursor))
		}
	}
}

// landings are when the transactions were through that wrote: the writes of a
// large one come long before.
func landings(writes []write) map[landing]time.Time {
	last := map[landing]time.Time{}
	for _, w := range writes {
		if key := (landing{w.Epoch, w.XID}); w.XID != "" && w.At.After(last[key]) {
			last[key] = w.At
		}
	}
	return last
}

// landing is a transaction in a state of the database.
type landing struct {
	epoch int
	xid   string
}

// landed is when the write could be seen.
func (o *oracle) landed(w write) time.Time {
	if at := o.landings[landing{w.Epoch, w.XID}]; at.After(w.At) {
		return at
	}
	return w.At
}
