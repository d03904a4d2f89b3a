package main

import (
	"fmt"
	"slices"
)

// twice complains of a repository that was counted as missing and that no older
// scan of the run had missed: neither by a look nor, where a sweep took something
// out of a result, by that.
func (o *oracle) twice(w write) {
	if !w.fresh() {
		return
	}
	for _, name := range w.Missing {
		if !o.lookedFor(w, name) {
			o.wrong = append(o.wrong, fmt.Sprintf("%s: %q is counted, and was missed once", w, name))
		}
	}
}

func (o *oracle) lookedFor(w write, name string) bool {
	missed := func(run, scan int64, names []string) bool {
		return run == w.New.Run && scan < w.New.Scan && slices.Contains(names, name)
	}
	return slices.ContainsFunc(o.looksAt[w.ProjectID], func(g glance) bool {
		return g.Epoch <= w.Epoch && missed(g.Run, g.Scan, g.Missing)
	}) || w.New.Method == methodSweep && slices.ContainsFunc(o.writesOf[w.ProjectID], func(earlier write) bool {
		return earlier.Epoch <= w.Epoch && missed(earlier.New.Run, earlier.New.Scan, earlier.Missing)
	})
}

// first is the scan number of the look that w confirms, its own if it confirms none:
// a second look is there because of the first one, which may have been under way when
// another result landed.
func (o *oracle) first(earlier []write, w write) int64 {
	var last int64
	if len(earlier) > 0 {
		last = earlier[len(earlier)-1].New.Scan
	}
	scan := w.New.Scan
	for _, g := range o.looksAt[w.ProjectID] {
		if g.Epoch == w.Epoch && g.Run == w.New.Run && g.Scan > last && g.Scan < scan {
			scan = g.Scan
		}
	}
	return scan
}
