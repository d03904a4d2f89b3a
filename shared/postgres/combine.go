package postgres

import (
	"cmp"
	"slices"
	"strings"
	"unicode/utf8"

	"regmend/shared/gitlab"
)

// verdict is what a set of results of one project comes to: the newest
// completed one, and the newest failed one if it came after that. At least one
// of the two is there.
type verdict struct {
	project   gitlab.Project
	completed *gitlab.Result
	failed    *gitlab.Result
}

// combine brings results to one verdict a project, ordered by project, so that
// two writers lock rows in the same order. The order of results does not
// matter. Results that are not of run, that are neither completed nor failed, or
// whose path no project can have, are left out; discarded is the number of
// projects that lost all theirs that way.
func combine(run Run, results []gitlab.Result) (verdicts []verdict, discarded int) {
	byProject := make(map[int64]verdict)
	given := make(map[int64]bool)
	for _, r := range results {
		given[r.Project.ID] = true
		known := r.Status == gitlab.Completed || r.Status == gitlab.Failed
		if r.Run != run.ID || r.Scan <= run.Scan || !known || !storable(r.Project.FullPath) {
			continue
		}
		byProject[r.Project.ID] = byProject[r.Project.ID].with(r)
	}
	for _, v := range byProject {
		verdicts = append(verdicts, v.settled())
	}
	slices.SortFunc(verdicts, func(a, b verdict) int { return cmp.Compare(a.project.ID, b.project.ID) })
	return verdicts, len(given) - len(verdicts)
}

// with is the verdict when r is known as well; it is not settled.
func (v verdict) with(r gitlab.Result) verdict {
	switch {
	case r.Status == gitlab.Completed && newer(&r, v.completed):
		v.completed = &r
	case r.Status == gitlab.Failed && newer(&r, v.failed):
		v.failed = &r
	}
	v.project = r.Project
	return v
}

// settled drops what does not count where both kinds are there: a failure
// that the completed scan came after, and, of two results with different
// paths, the older one, because the project was renamed in between.
func (v verdict) settled() verdict {
	if v.completed != nil && v.failed != nil {
		switch {
		case v.completed.Scan >= v.failed.Scan:
			v.failed = nil
		case v.completed.Project != v.failed.Project:
			v.completed = nil
		}
	}
	if v.completed != nil {
		v.project = v.completed.Project
	} else {
		v.project = v.failed.Project
	}
	return v
}

func newer(r, than *gitlab.Result) bool { return than == nil || r.Scan > than.Scan }

// highest is the highest scan number in verdicts.
func highest(verdicts []verdict) int64 {
	var scan int64
	for _, v := range verdicts {
		scan = max(scan, v.scan())
	}
	return scan
}

// scan is the number of the verdict's last result.
func (v verdict) scan() int64 {
	if v.failed != nil {
		return v.failed.Scan
	}
	return v.completed.Scan
}

// storable tells whether Postgres can hold text.
func storable(text string) bool {
	return utf8.ValidString(text) && !strings.ContainsRune(text, 0)
}

const longestError = 2000 // bytes

// legible is text as it can be stored and read as a reason.
func legible(text string) string {
	text = strings.ReplaceAll(strings.ToValidUTF8(text, "\uFFFD"), "\x00", "\uFFFD")
	if len(text) > longestError {
		text = strings.ToValidUTF8(text[:longestError], "") + "…"
	}
	return cmp.Or(strings.TrimSpace(text), "no reason was given")
}
