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

// shared is a listing of more than one project's repositories, of which a survey
// keeps what belongs to its projects.
type shared struct {
	found  map[string][]entry // by registry path of the projects it serves
	kept   int                // bytes in found
	done   bool
	since  time.Time // when it was done
	pages  int
	failed int   // how often
	err    error // the last
}

func newShared() *shared { return &shared{found: map[string][]entry{}} }

func (w *shared) serves(path string) bool {
	_, ok := w.found[path]
	return ok
}

// once reads the listing if that was not yet done. Failures that are the
// registry's, or the caller's end, do not count.
func (w *shared) once(list func(page func([]entry) error) (int, error)) error {
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
func (w *shared) expire(after time.Duration) {
	if time.Since(w.since) > after {
		w.done = false
	}
}

// keep takes of a page what is one of the projects' own. Owners are looked up by
// the path's prefixes, so that a large batch costs no more than a small one.
func (w *shared) keep(entries []entry) error {
	for _, e := range entries {
		path := e.path
		for end := range gitlab.PathEnds(path) {
			if _, ok := w.found[path[:end]]; ok {
				// A copy, lest the one name keep its whole page.
				w.found[path[:end]] = append(w.found[path[:end]], entry{strings.Clone(path), e.createdAt})
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
func (w *shared) hand(p gitlab.Project, method string, page func([]gitlab.Repository) error, keep func(path string) (bool, error)) (gitlab.Evidence, error) {
	found := w.found[p.RegistryPath()]
	slices.SortFunc(found, func(a, b entry) int { return strings.Compare(a.path, b.path) })
	found = slices.CompactFunc(found, func(a, b entry) bool { return a.path == b.path }) // pages may overlap
	w.found[p.RegistryPath()] = found
	var repositories []gitlab.Repository
	for _, e := range found {
		name, ok := p.Owns(e.path)
		if !ok {
			continue
		}
		kept, err := keep(e.path)
		if err != nil {
			return gitlab.Evidence{}, err
		}
		if kept {
			repositories = append(repositories, gitlab.Repository{Name: name, CreatedAt: e.createdAt})
		}
	}
	if err := give(page, repositories); err != nil {
		return gitlab.Evidence{}, err
	}
	return gitlab.Evidence{Method: method, Pages: w.pages, Listed: len(repositories)}, nil
}

func all(string) (bool, error) { return true, nil }
