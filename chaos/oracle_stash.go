package main

import (
	"fmt"
	"slices"
	"time"
)

// unwritten complains of completed results that one look saw in the stash and the
// next one did not, although neither they nor later ones had been written.
func (o *oracle) unwritten(id int64, writes []write, stashed []sighting) {
	for i, s := range stashed {
		next := s.look + 1
		if next == len(o.looks) || o.looks[next].epoch != o.looks[s.look].epoch {
			continue
		}
		seen, gone := o.looks[s.look], o.looks[next]
		if i+1 < len(stashed) && stashed[i+1].look == next && stashed[i+1].scan >= s.scan {
			continue // still there, or a later one in its place
		}
		if !written(until(writes, gone.end), s.scan, seen) && !o.lost(seen.begin, gone.end) && !o.discarded(id, s, gone) {
			o.vanished = append(o.vanished, fmt.Sprintf("project %d: scan %d was in the stash at %s, and gone unwritten at %s",
				id, s.scan, seen.begin.Format("15:04:05.000"), gone.end.Format("15:04:05.000")))
		}
	}
}

// discarded tells whether the result may rightly have been dropped before a look
// that does not see it any more: another run has begun, the project is not what
// it was, or the number is not one of this database.
func (o *oracle) discarded(id int64, s sighting, gone look) bool {
	for r, begin := range o.begins {
		if r.epoch == gone.epoch && begin.scan >= s.scan && !begin.at.After(gone.end) {
			return true
		}
	}
	changed := len(o.truth.between(gone.epoch, id, o.began(gone.epoch, s.scan), gone.end)) > 1
	return changed || !o.given(gone.epoch, s.scan, gone.end)
}

// given tells whether the database had given the scan number out by then. That a
// new run raised it later says nothing.
func (o *oracle) given(epoch int, scan int64, by time.Time) bool {
	i := slices.IndexFunc(o.numbers, func(n number) bool { return n.epoch == epoch && n.last >= scan })
	if i < 0 || o.numbers[i].at.After(by.Add(late)) {
		return false
	}
	for r, begin := range o.begins {
		if r.epoch == epoch && begin.scan >= scan && !begin.at.After(o.numbers[i].at) {
			return false
		}
	}
	return true
}

// inStash is the scan number of a completed result of the same run that had been
// stashed before the scan of w began, and that nothing but the flush should have
// removed meanwhile; 0 if there was none.
func (o *oracle) inStash(earlier []write, w write, stashed []sighting, began time.Time) int64 {
	if len(o.truth.between(w.Epoch, w.ProjectID, began.Add(-time.Minute), w.At)) > 1 {
		return 0 // renamed: what was stashed is rightly discarded
	}
	flushed := until(earlier, began)
	for _, s := range stashed {
		l := o.looks[s.look]
		same := l.epoch == w.Epoch && s.scan < w.New.Scan && s.scan > o.begins[runOf{w.Epoch, w.New.Run}].scan
		if same && l.end.Add(late).Before(began) && !o.lost(l.begin, began) && !written(flushed, s.scan, l) {
			return s.scan
		}
	}
	return 0
}

// lossGrace is how long before it was noted Redis may have lost something.
const lossGrace = 5 * time.Second

// lost tells whether Redis may have lost what was in the stash meanwhile.
func (o *oracle) lost(from, to time.Time) bool {
	return slices.ContainsFunc(o.losses, func(at time.Time) bool {
		return at.After(from.Add(-lossGrace)) && at.Before(to.Add(lossGrace))
	})
}

// until are those of the writes that were made up to a time.
func until(writes []write, end time.Time) []write {
	return slices.DeleteFunc(slices.Clone(writes), func(w write) bool { return w.At.After(end) })
}

// written tells whether the result that a look saw, or one of a later scan, is
// among the writes.
func written(writes []write, scan int64, seen look) bool {
	return slices.ContainsFunc(writes, func(w write) bool {
		return w.Epoch == seen.epoch && w.New.Status == completed && w.New.Scan >= scan
	})
}
