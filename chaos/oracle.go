package main

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"sort"
	"time"
)

// verdict is what was found wrong, a line each.
type verdict struct {
	skipped   []string // projects that were not analysed in the end
	wrong     []string // rows that say what never was so
	unproven  []string // rows completed without evidence
	backwards []string // rows replaced by older ones
	repeated  []string // scans of what was stashed or stored
	overCap   []string // requests beyond the cap
	vanished  []string // stashed results that went unwritten
	secrets   []string // seen where they must not be
	others    []string // whatever else was not as promised
	writes    int

	repairVerdict
}

// none tells whether all is as promised.
func (v *verdict) none() bool {
	for _, c := range v.counts() {
		if len(c.lines) > 0 {
			return false
		}
	}
	return true
}

type tally struct {
	what  string
	lines []string
}

func (v *verdict) counts() []tally {
	return append([]tally{
		{"projects skipped", v.skipped},
		{"rows wrong", v.wrong},
		{"rows completed without evidence", v.unproven},
		{"older over newer", v.backwards},
		{"scans repeated although stashed", v.repeated},
		{"stashed results lost", v.vanished},
		{"cap exceeded", v.overCap},
		{"secrets seen", v.secrets},
		{"other promises broken", v.others},
	}, v.repairVerdict.counts()...)
}

// late is how long things may lie apart that happen at once on a machine at its
// limit: a result may be written after what it says has ceased to be so (its
// statement has read the project's path before, and commits then), and stashed
// after another batch with the project has looked for it.
const late = 2 * time.Second

// oracle judges what the witness saw.
type oracle struct {
	*witness
	forces []forced
	losses []time.Time // when Redis lost what it held
	pages  catalogPages
	verdict

	landings map[landing]time.Time
	walks    map[walkKey]walk
	writesOf map[int64][]write  // by project
	looksAt  map[int64][]glance // by project
}

// judge looks at everything that was written. Redis may have lost the stash at
// the times of losses, but at no other.
func (w *witness) judge(forces []forced, losses []time.Time, pages catalogPages) verdict {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.truth.know(w.repairLog.touches)
	forces = append(slices.Clone(forces), w.repairLog.rescans()...)
	o := &oracle{witness: w, forces: forces, losses: losses, pages: pages, landings: landings(w.writes), walks: map[walkKey]walk{}}
	o.verdict.writes = len(w.writes)
	byProject := map[int64][]write{}
	for _, found := range w.writes {
		byProject[found.ProjectID] = append(byProject[found.ProjectID], found)
	}
	o.writesOf, o.looksAt = byProject, map[int64][]glance{}
	for _, g := range w.glances {
		o.looksAt[g.ProjectID] = append(o.looksAt[g.ProjectID], g)
	}
	sightings := map[int64][]sighting{}
	for _, s := range w.stashed {
		sightings[s.projectID] = append(sightings[s.projectID], s)
	}
	seen := slices.AppendSeq(slices.Collect(maps.Keys(byProject)), maps.Keys(sightings))
	slices.Sort(seen)
	for _, id := range slices.Compact(seen) {
		writes := byProject[id]
		slices.SortStableFunc(writes, func(a, b write) int {
			return cmp.Or(cmp.Compare(a.Epoch, b.Epoch), cmp.Compare(a.ID, b.ID))
		})
		for _, found := range writes {
			o.evidence(found)
			o.order(found)
			o.content(found)
			o.proof(found)
			o.twice(found)
		}
		o.repeats(writes, sightings[id])
		o.unwritten(id, writes, sightings[id])
	}
	o.returns()
	o.repairs(w.repairLog)
	return o.verdict
}

// evidence holds a completed row to its evidence (P2).
func (o *oracle) evidence(w write) {
	n := w.New
	if n.Status == completed && (n.Run == 0 || n.Scan == 0 || n.FullPath == "" || n.Method == "" || n.Pages == 0) {
		o.unproven = append(o.unproven, fmt.Sprintf("%s: %+v", w, n))
	}
}

// order holds a row to P5: completed beats failed, the higher scan number wins,
// and no run goes back.
func (o *oracle) order(w write) {
	if w.Op != "UPDATE" {
		return
	}
	n, was := w.New, w.Old
	same := n.Run == was.Run
	switch {
	case n.Run < was.Run,
		same && was.Status == completed && n.Status != completed,
		same && was.Status == n.Status && n.Scan < was.Scan,
		same && was.Status == n.Status && n.Scan == was.Scan && n.Failure < was.Failure:
		o.backwards = append(o.backwards, fmt.Sprintf("%s: %+v over %+v", w, n, was))
	}
}

// content holds a completed row against the truth at its time. A failed one
// says nothing of the registry.
func (o *oracle) content(w write) {
	if w.Op == "DELETE" {
		o.deletion(w)
		return
	}
	if !w.fresh() {
		return
	}
	began := o.began(w.Epoch, w.New.Scan)
	var seen []string
	for _, v := range o.truth.between(w.Epoch, w.ProjectID, earliest(began, w.At.Add(-late)), w.At) {
		if v.path != w.New.FullPath {
			seen = append(seen, "path "+v.path)
			continue
		}
		missing, listed := o.truth.missing(v.path, v)
		if slices.Equal(missing, w.Missing) && w.New.Missing == len(missing) && o.lists(w, v) {
			return
		}
		seen = append(seen, fmt.Sprintf("%d listed, missing %q", listed, missing))
	}
	o.wrong = append(o.wrong, fmt.Sprintf("%s says %d listed, missing %q of %s; so it was: %q",
		w, w.New.Listed, w.Missing, w.New.FullPath, seen))
}

// deletion complains of a row that went without its project.
func (o *oracle) deletion(w write) {
	versions := o.truth.between(w.Epoch, w.ProjectID, w.At, w.At.Add(late))
	if len(versions) > 0 && versions[len(versions)-1].path != "" {
		o.wrong = append(o.wrong, fmt.Sprintf("%s: the row was deleted, its project was not", w))
	}
}

func (w write) String() string {
	return fmt.Sprintf("%s project %d, run %d, scan %d, %s", w.At.Format("15:04:05.000"), w.ProjectID, w.New.Run, w.New.Scan, w.New.Method)
}

func earliest(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}

// began is the last time when a scan number was not given out yet.
func (w *witness) began(epoch int, scan int64) (from time.Time) {
	numbers := w.numbers
	after := sort.Search(len(numbers), func(i int) bool {
		n := numbers[i]
		return n.epoch > epoch || n.epoch == epoch && n.last >= scan
	})
	if after > 0 && numbers[after-1].epoch == epoch {
		from = numbers[after-1].at
	}
	return from
}

// repeats complains of scans of a project that began when a completed result of
// the same run was in the table, or had been stashed, and that nobody asked for
// again (P8). A sweep is none: it asks nothing of a project that has a result.
func (o *oracle) repeats(writes []write, stashed []sighting) {
	for i, w := range writes {
		if !w.fresh() || w.New.Method == methodSweep {
			continue
		}
		from := o.began(w.Epoch, o.first(writes[:i], w))
		if scan := o.inTable(writes[:i], w, from); scan > 0 {
			o.repeat(w, scan, "in the table")
		} else if scan := o.inStash(writes[:i], w, stashed, from); scan > 0 {
			o.repeat(w, scan, "in the stash")
		}
	}
}

// inTable is the scan number of the completed result of the same run that was
// in the table when the scan of w began, 0 if there was none.
func (o *oracle) inTable(earlier []write, w write, began time.Time) int64 {
	if len(earlier) == 0 {
		return 0
	}
	was := earlier[len(earlier)-1]
	if was.New.Failure > was.New.Scan {
		return 0 // a scan that was asked for failed since, and is tried again
	}
	if was.Epoch == w.Epoch && was.New.Run == w.New.Run && was.New.Status == completed && was.New.Scan < w.New.Scan && o.landed(was).Before(began) {
		return was.New.Scan
	}
	return 0
}

// askedFor tells whether somebody wanted a scan of the project, as that one was,
// although the earlier one was known.
func (o *oracle) askedFor(w write, scan, earlier int64) bool {
	return slices.ContainsFunc(o.forces, func(f forced) bool {
		return f.ids[w.ProjectID] && f.epoch == w.Epoch && f.least < scan && f.most >= earlier
	})
}

// swept tells whether the look was a sweep's: beside a result it has one only at
// what it contradicts.
func (o *oracle) swept(g glance) bool {
	return slices.ContainsFunc(o.courses, func(c course) bool { return c.Epoch == g.Epoch && c.Scan == g.Scan })
}

// repeat complains of w unless it was asked for, or is the second look at what
// another scan missed that was.
func (o *oracle) repeat(w write, earlier int64, where string) {
	if o.askedFor(w, w.New.Scan, earlier) {
		return
	}
	for _, g := range o.looksAt[w.ProjectID] {
		first := g.Epoch == w.Epoch && g.Run == w.New.Run && earlier < g.Scan && g.Scan < w.New.Scan
		if first && (o.askedFor(w, g.Scan, earlier) || o.swept(g)) {
			return
		}
	}
	o.repeated = append(o.repeated, fmt.Sprintf("%s: scanned again although scan %d was %s", w, earlier, where))
}
