package stash

import (
	"encoding/json"
	"fmt"
	"strconv"

	"regmend/shared/gitlab"
)

// entry is a result as Redis keeps it.
type entry struct {
	field string
	scan  int64
	value []byte
}

// value is what an entry's JSON has. Names that are missing stand among the
// names already, and so as spans of these: of a large project that misses all, a
// copy of each would double what Redis has to take.
type value struct {
	gitlab.Result
	MissingAt [][2]int `json:"missing_at,omitempty"` // from, and before
}

func newValue(r gitlab.Result) value {
	spans, all := spansOf(r.Missing, r.Names)
	if !all {
		return value{Result: r}
	}
	r.Missing = nil
	return value{Result: r, MissingAt: spans}
}

// spansOf tells where some, in the order of names, are among them, if all are.
func spansOf(some, names []string) (spans [][2]int, all bool) {
	at := 0
	for _, name := range some {
		for at < len(names) && names[at] != name {
			at++
		}
		if at == len(names) {
			return nil, false
		}
		if last := len(spans) - 1; last >= 0 && spans[last][1] == at {
			spans[last][1]++
		} else {
			spans = append(spans, [2]int{at, at + 1})
		}
		at++
	}
	return spans, true
}

// result is the value's with all its names.
func (v value) result() (gitlab.Result, error) {
	r, after := v.Result, 0
	for _, span := range v.MissingAt {
		if span[0] < after || span[0] >= span[1] || span[1] > len(r.Names) {
			return gitlab.Result{}, fmt.Errorf("names %d to %d are missing of %d", span[0], span[1], len(r.Names))
		}
		after = span[1]
		r.Missing = append(r.Missing, r.Names[span[0]:after]...)
	}
	return r, nil
}

// marks tell the statuses apart that a result can have.
var marks = map[gitlab.Status]string{gitlab.Completed: "c", gitlab.Looked: "l", gitlab.Failed: "f"}

// field is what a result is stashed under: a project has one place for each
// status.
func field(projectID int64, status gitlab.Status) string {
	return strconv.FormatInt(projectID, 10) + ":" + marks[status]
}

// encode makes entries of results. Of several with one field only the one with
// the highest scan number is left, so that the script can count them.
func encode(results []gitlab.Result) ([]entry, error) {
	entries := make([]entry, 0, len(results))
	places := make(map[string]int, len(results))
	for _, r := range results {
		e, err := encodeOne(r)
		if err != nil {
			return nil, err
		}
		i, twice := places[e.field]
		switch {
		case !twice:
			places[e.field] = len(entries)
			entries = append(entries, e)
		case e.scan > entries[i].scan:
			entries[i] = e
		}
	}
	return entries, nil
}

func encodeOne(r gitlab.Result) (entry, error) {
	e, err := place(r)
	if err != nil {
		return entry{}, fmt.Errorf("stash project %d: %w", r.Project.ID, err)
	}
	e.value, err = json.Marshal(newValue(r))
	if err != nil {
		return entry{}, fmt.Errorf("stash project %d: %w", r.Project.ID, err)
	}
	return e, nil
}

// place is the result's entry without its value.
func place(r gitlab.Result) (entry, error) {
	switch {
	case marks[r.Status] == "":
		return entry{}, fmt.Errorf("status %q", r.Status)
	case r.Scan < 1 || r.Scan > maxScan:
		return entry{}, fmt.Errorf("scan number %d is out of range", r.Scan)
	}
	return entry{field: field(r.Project.ID, r.Status), scan: r.Scan}, nil
}

// decode reads an entry back. One whose value is of another place is as bad as
// one that is no result: neither could ever be acked.
func decode(field, scan, text string) (gitlab.Result, error) {
	var v value
	if err := json.Unmarshal([]byte(text), &v); err != nil {
		return gitlab.Result{}, err
	}
	r, err := v.result()
	if err != nil {
		return gitlab.Result{}, err
	}
	e, err := place(r)
	if err != nil {
		return gitlab.Result{}, err
	}
	if e.field != field || strconv.FormatInt(e.scan, 10) != scan {
		return gitlab.Result{}, fmt.Errorf("scan %d of %s stands as scan %s of %s", e.scan, e.field, scan, field)
	}
	return r, nil
}
