package main

import (
	"math/rand/v2"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"regmend/shared/registry/registrytest"
)

// screen is a fault that stands before one kind of requests. Of those for the
// catalog it takes a sweep's only; scans, too, read it now and then.
type screen struct {
	kind  registrytest.Kind
	fault registrytest.Fault
	first bool         // it is for the first page of the catalog, else for later ones
	left  atomic.Int64 // answers that are still to be spoilt
	asked atomic.Int64 // requests that it got
	given atomic.Int64 // and that it has answered
}

// endless is more answers than anybody asks for.
const endless = 1 << 40

// interpose puts a fault between requests of a kind and the next so many answers
// to them, until end is called, which may be done twice. There is one at a time.
func (r *registrySide) interpose(kind registrytest.Kind, times int64, fault registrytest.Fault) (s *screen, end func()) {
	return r.raise(&screen{kind: kind, fault: fault}, times)
}

// interposeFirst puts it before the first page of the catalog, once.
func (r *registrySide) interposeFirst(fault registrytest.Fault) (s *screen, end func()) {
	return r.raise(&screen{kind: registrytest.Catalog, fault: fault, first: true}, 1)
}

func (r *registrySide) raise(s *screen, times int64) (_ *screen, end func()) {
	s.left.Store(times)
	r.screen.Store(s)
	return s, func() { r.screen.CompareAndSwap(s, nil) }
}

// screened is the screen that the request has run into, nil if there is none.
func (r *registrySide) screened(kind registrytest.Kind, req *http.Request) *screen {
	s := r.screen.Load()
	if s == nil || kind != s.kind || kind == registrytest.Catalog && !r.ofSweep(req, s.first) || s.left.Add(-1) < 0 {
		return nil
	}
	return s
}

// sweeping is the parameter in the Links of pages that are a sweep's.
const sweeping = "sweep"

// ofSweep tells whether a page of the catalog is asked for by the sweep: a later
// one at the position that it has noted, or to which a marked Link led. The first
// one can be anybody's; whether there is a catalog is asked with n=1.
func (r *registrySide) ofSweep(req *http.Request, first bool) bool {
	query := req.URL.Query()
	if !query.Has("last") || first {
		return first && !query.Has("last") && query.Get("n") != "1"
	}
	return query.Get(beganWith) == sweeping || r.position == nil || r.position() == req.URL.Path+"?"+req.URL.RawQuery
}

// over is what answers in the place of right.
func (s *screen) over(right http.Handler) http.Handler {
	if s.kind == registrytest.Catalog {
		right = registrytest.LinkParameter(beganWith, sweeping)(right)
	}
	return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		s.asked.Add(1)
		defer s.given.Add(1)
		s.fault(right).ServeHTTP(w, req)
	})
}

// pages are those of the catalog that were given.
func (r *registrySide) pages() catalogPages {
	var given []time.Time
	for _, req := range r.requests() {
		if req.kind == registrytest.Catalog && req.status == http.StatusOK && !req.end.IsZero() {
			given = append(given, req.end)
		}
	}
	r.doubling.Lock()
	defer r.doubling.Unlock()
	return catalogPages{given: given, double: slices.Clone(r.doubled)}
}

// noteDouble notes that names of the catalog are given once more.
func (r *registrySide) noteDouble() {
	r.doubling.Lock()
	defer r.doubling.Unlock()
	r.doubled = append(r.doubled, time.Now())
}

// emptyCatalog is a catalog of nothing.
var emptyCatalog = registrytest.Answer(http.StatusOK, nil, `{"repositories":[]}`)

// hiding leaves a share of the repositories out of the catalog, always the same.
func hiding(percent uint32) registrytest.Fault {
	return registrytest.Hide(func(path string) bool { return hashOf(path)%100 < percent })
}

// hashOf is the FNV-1a hash of the text.
func hashOf(text string) uint32 {
	hash := uint32(2166136261)
	for i := range len(text) {
		hash = (hash ^ uint32(text[i])) * 16777619
	}
	return hash
}

// leadingBack lets a page's Link lead to the page itself, or to the first one,
// after which a process that does not know them reads the others again.
func (r *registrySide) leadingBack(dice *rand.Rand) registrytest.Fault {
	if dice.IntN(2) == 0 {
		return registrytest.RepeatPage()
	}
	first := registrytest.Link(`</v2/_catalog?n=1000>; rel="next"`)
	return func(answer http.Handler) http.Handler {
		r.noteDouble()
		return first(answer)
	}
}

// repeating gives the page that is asked for first again and again, each time
// with another Link; the last one leads on.
func (r *registrySide) repeating() registrytest.Fault {
	var first atomic.Pointer[http.Request]
	var times atomic.Int64
	return func(answer http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
			if !first.CompareAndSwap(nil, req.Clone(req.Context())) {
				r.noteDouble()
			}
			again := first.Load().Clone(req.Context())
			again.Header = req.Header
			registrytest.LinkParameter("again", strconv.FormatInt(times.Add(1), 10))(answer).ServeHTTP(w, again)
		})
	}
}

// growing makes up a page of repositories, each time others.
func growing() registrytest.Fault {
	var page atomic.Int64
	return func(http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			names := make([]string, 100)
			for i := range names {
				names[i] = `"zz-endless/` + strconv.FormatInt(page.Load(), 10) + "x" + strconv.Itoa(i) + `"`
			}
			next := strconv.FormatInt(page.Add(1), 10)
			w.Header().Set("Link", `</v2/_catalog?n=1000&last=zz-endless%2F`+next+`&`+beganWith+`=`+sweeping+`>; rel="next"`)
			registrytest.Answer(http.StatusOK, nil, `{"repositories":[`+strings.Join(names, ",")+`]}`)(nil).ServeHTTP(w, nil)
		})
	}
}
