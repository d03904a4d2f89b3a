package main

import (
	"net/http"
	"strings"
	"sync"
	"sync/atomic"

	"regmend/shared/registry/registrytest"
)

// ServeHTTP answers as the registry does, or as a fault has it.
func (r *registrySide) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	kind, path := r.double.Asked(req)
	done := r.log.begin(kind, path)
	answer := &registrytest.StatusWriter{ResponseWriter: w}
	defer func() { done(answer.Status) }()
	healthy := http.Handler(http.HandlerFunc(r.answer))
	if ill := r.ill.Load(); ill != nil {
		healthy = (*ill)(healthy)
	}
	healthy.ServeHTTP(answer, req)
}

// answer is that of the double, but for bad answers that were prepared. A
// listing that began with something else goes on with that.
func (r *registrySide) answer(w http.ResponseWriter, req *http.Request) {
	kind, path := r.double.Asked(req)
	r.held.Load().keep(kind, path, req)
	query := req.URL.Query()
	began := query.Get(beganWith)
	var right http.Handler = r.double
	if twin := r.twins[began]; twin != nil {
		right = twin
	}
	if s := r.screened(kind, req); s != nil {
		s.over(right).ServeHTTP(w, req)
		return
	}
	if began == samePage {
		right = sameAgain(r.double)
	}
	if kind == registrytest.List && !query.Has("last") {
		if s := r.spoils.take(path); s != nil {
			defer s.given.Store(true)
			right = s.fault(r.double)
		}
	}
	right.ServeHTTP(w, req)
}

// beganWith is a parameter in the Links of listings that did not begin with the
// double: its pages would not fit theirs.
const beganWith = "chaos"

// suffer lets a fault spoil every answer until end is called, which may be done
// twice. There is one at a time.
func (r *registrySide) suffer(fault registrytest.Fault) (end func()) {
	r.ill.Store(&fault)
	return func() { r.ill.CompareAndSwap(&fault, nil) }
}

// replaced answers with a twin. What is in the middle of a listing goes on
// with it there, too.
func (r *registrySide) replaced(twin string) registrytest.Fault {
	return func(http.Handler) http.Handler { return r.twins[twin] }
}

// otherwise answers with a twin that holds the same in another order. Listings
// go on with whichever they began with.
func (r *registrySide) otherwise(twin string) registrytest.Fault {
	marked := registrytest.LinkParameter(beganWith, twin)(r.twins[twin])
	return func(answer http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
			if query := req.URL.Query(); query.Has("last") && query.Get(beganWith) != twin {
				answer.ServeHTTP(w, req)
				return
			}
			marked.ServeHTTP(w, req)
		})
	}
}

// spoils are bad answers that wait for a listing, by path.
type spoils struct {
	mu      *sync.Mutex
	waiting map[string][]*spoil
}

// spoil is one bad answer.
type spoil struct {
	fault registrytest.Fault
	given atomic.Bool
}

func newSpoils() spoils { return spoils{&sync.Mutex{}, map[string][]*spoil{}} }

// spoil prepares a bad answer for the next listing of the project with that full
// path, its first page. given tells whether it was sent, remove takes it back if
// it was not.
func (r *registrySide) spoil(fullPath string, fault registrytest.Fault) (given func() bool, remove func()) {
	path, s := strings.ToLower(fullPath), &spoil{fault: fault}
	r.spoils.mu.Lock()
	defer r.spoils.mu.Unlock()
	r.spoils.waiting[path] = append(r.spoils.waiting[path], s)
	return s.given.Load, func() { r.spoils.remove(path, s) }
}

// take gives the bad answer for the path that waits longest, nil if none does.
func (s spoils) take(path string) *spoil {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := s.waiting[path]
	if len(all) == 0 {
		return nil
	}
	s.waiting[path] = all[1:]
	return all[0]
}

// waits tells whether a bad answer waits for the project with that full path.
func (s spoils) waits(fullPath string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.waiting[strings.ToLower(fullPath)]) > 0
}

func (s spoils) remove(path string, gone *spoil) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i, waiting := range s.waiting[path] {
		if waiting == gone {
			s.waiting[path] = append(s.waiting[path][:i:i], s.waiting[path][i+1:]...)
			return
		}
	}
}
