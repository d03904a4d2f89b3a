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
	value string
}

// field is what a result is stashed under: a project has one place for each
// status.
func field(projectID int64, status gitlab.Status) string {
	mark := ":f"
	if status == gitlab.Completed {
		mark = ":c"
	}
	return strconv.FormatInt(projectID, 10) + mark
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
	value, err := json.Marshal(r)
	if err != nil {
		return entry{}, fmt.Errorf("stash project %d: %w", r.Project.ID, err)
	}
	e.value = string(value)
	return e, nil
}

// place is the result's entry without its value.
func place(r gitlab.Result) (entry, error) {
	switch {
	case r.Status != gitlab.Completed && r.Status != gitlab.Failed:
		return entry{}, fmt.Errorf("status %q", r.Status)
	case r.Scan < 1 || r.Scan > maxScan:
		return entry{}, fmt.Errorf("scan number %d is out of range", r.Scan)
	}
	return entry{field: field(r.Project.ID, r.Status), scan: r.Scan}, nil
}

// decode reads an entry back. One whose value is of another place is as bad as
// one that is no result: neither could ever be acked.
func decode(field, scan, value string) (gitlab.Result, error) {
	var r gitlab.Result
	if err := json.Unmarshal([]byte(value), &r); err != nil {
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
