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
	place := map[string]int{}
	for _, r := range results {
		e, err := encodeOne(r)
		if err != nil {
			return nil, err
		}
		i, twice := place[e.field]
		switch {
		case !twice:
			place[e.field] = len(entries)
			entries = append(entries, e)
		case e.scan > entries[i].scan:
			entries[i] = e
		}
	}
	return entries, nil
}

func encodeOne(r gitlab.Result) (entry, error) {
	switch {
	case r.Status != gitlab.Completed && r.Status != gitlab.Failed:
		return entry{}, fmt.Errorf("stash project %d: status %q", r.Project.ID, r.Status)
	case r.Scan < 1 || r.Scan > maxScan:
		return entry{}, fmt.Errorf("stash project %d: scan number %d is out of range", r.Project.ID, r.Scan)
	}
	value, err := json.Marshal(r)
	if err != nil {
		return entry{}, fmt.Errorf("stash project %d: %w", r.Project.ID, err)
	}
	return entry{field: field(r.Project.ID, r.Status), scan: r.Scan, value: string(value)}, nil
}

// decode reads an entry back. One whose value is of another place is as bad as
// one that is no result: neither could ever be acked.
func decode(field, scan, value string) (gitlab.Result, error) {
	var r gitlab.Result
	if err := json.Unmarshal([]byte(value), &r); err != nil {
		return gitlab.Result{}, err
	}
	e, err := encodeOne(r)
	if err != nil {
		return gitlab.Result{}, err
	}
	if e.field != field || strconv.FormatInt(e.scan, 10) != scan {
		return gitlab.Result{}, fmt.Errorf("scan %d of %s stands as scan %s of %s", e.scan, e.field, scan, field)
	}
	return r, nil
}
