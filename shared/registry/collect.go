package registry

import (
	"errors"
	"net/http"
	"slices"
	"strings"
	"time"

	"regmend/shared/gitlab"
)

// maxWalks is how often a survey begins a shared walk that fails: a passing
// fault should not cost a whole batch, nor a lasting one a walk for each project.
const maxWalks = 3

// groupFor is how long a group's listing serves the projects in it. What it names
// may be deleted meanwhile, with its row, and would then look missing. (What a
// catalog names is asked for its tags before it counts.)
const groupFor = 30 * time.Second

// mostKept bounds the names that a walk keeps, in bytes: a batch of the largest
// projects has a small part of it, and a registry that lies must not fill memory.
const mostKept = 64 << 20

// walk is a listing of more than one project's repositories, of which a survey
// keeps what belongs to its projects.
type walk struct {
	found  map[string][]string // by registry path of the projects it serves
	kept   int                 // bytes in found
	done   bool
	since  time.Time // when it was done
	pages  int
	failed int   // how often
	err    error // the last
}

func newWalk() *walk { return &walk{found: map[string][]string{}} }

func (w *walk) serves(path string) bool {
	_, ok := w.found[path]
	return ok
}

// once reads the listing if that was not yet done. Failures that are the
// registry's, or the caller's end, do not count.
func (w *walk) once(list func(page func([]string) error) (int, error)) error {
	if w.done {
		return nil
	}
	if w.failed >= maxWalks {
		return w.err
	}
	w.kept = 0
	for path := range w.found {
		w.found[path] = nil
	}
	pages, err := list(w.keep)
	if err != nil {
		if answer := (*Error)(nil); errors.As(err, &answer) && !answer.Outage() {
			w.failed++
			w.err = err
		}
		return err
	}
	w.done, w.since, w.pages = true, time.Now(), pages
	return nil
}

// expire lets the listing be read again if it was done longer ago.
func (w *walk) expire(after time.Duration) {
	if time.Since(w.since) > after {
		w.done = false
	}
}

// keep takes of a page what is one of the projects' own. Owners are looked up by
// the path's prefixes, so that a large batch costs no more than a small one.
func (w *walk) keep(paths []string) error {
	for _, path := range paths {
		for end := range gitlab.PathEnds(path) {
			if _, ok := w.found[path[:end]]; ok {
				// A copy, lest the one name keep its whole page.
				w.found[path[:end]] = append(w.found[path[:end]], strings.Clone(path))
				w.kept += len(path)
				break
			}
		}
	}
	if w.kept > mostKept {
		return &Error{StatusCode: http.StatusOK, Reason: "200 OK, but the listing names more repositories of these projects than can be held"}
	}
	return nil
}

// hand gives out what the walk found of a project's, as far as keep says so.
func (w *walk) hand(p gitlab.Project, method string, page func([]string) error, keep func(path string) (bool, error)) (gitlab.Evidence, error) {
	found := w.found[p.RegistryPath()]
	slices.Sort(found)
	found = slices.Compact(found) // pages may overlap
	w.found[p.RegistryPath()] = found
	var names []string
	for _, path := range found {
		name, ok := p.Owns(path)
		if !ok {
			continue
		}
		kept, err := keep(path)
		if err != nil {
			return gitlab.Evidence{}, err
		}
		if kept {
			names = append(names, name)
		}
	}
	if err := give(page, names); err != nil {
		return gitlab.Evidence{}, err
	}
	return gitlab.Evidence{Method: method, Pages: w.pages, Listed: len(names)}, nil
}

func all(string) (bool, error) { return true, nil }
