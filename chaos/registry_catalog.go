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

// screen is a fault that stands before one kind of requests.
type screen struct {
	kind  registrytest.Kind
	fault registrytest.Fault
	place place        // of the catalog's pages; of anything else each
	left  atomic.Int64 // answers that are still to be spoilt
	asked atomic.Int64 // requests that it got
	given atomic.Int64 // and that it has answered
}

// place says for which pages of the catalog a fault is.
type place int

const (
	laterPages place = iota
	firstPage
	allPages
)

// endless is more answers than anybody asks for.
const endless = 1 << 40

// interpose puts a fault between requests of a kind and the next so many answers
// to them, until end is called, which may be done twice. There is one at a time.
func (r *registrySide) interpose(kind registrytest.Kind, times int64, where place, fault registrytest.Fault) (b *screen, end func()) {
	b = &screen{kind: kind, fault: fault, place: where}
	b.left.Store(times)
	r.screen.Store(b)
	return b, func() { r.screen.CompareAndSwap(b, nil) }
}

// takes tells whether the fault answers the request. Whether a catalog is granted
// at all is asked with n=1, and not for a sweep.
func (b *screen) takes(kind registrytest.Kind, req *http.Request) bool {
	if b == nil || kind != b.kind {
		return false
	}
	query := req.URL.Query()
	if kind == registrytest.Catalog && (query.Get("n") == "1" || !b.place.has(query.Has("last"))) {
		return false
	}
	return b.left.Add(-1) >= 0
}

// has tells whether a page is meant that is a later one, or the first.
func (p place) has(later bool) bool { return p == allPages || later == (p == laterPages) }

func (b *screen) answer(right http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		b.asked.Add(1)
		defer b.given.Add(1)
		b.fault(right).ServeHTTP(w, req)
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

// leadingBack lets a page's Link lead to the page itself, or to the first one.
func leadingBack(dice *rand.Rand) registrytest.Fault {
	if dice.IntN(2) == 0 {
		return registrytest.RepeatPage()
	}
	return registrytest.Link(`</v2/_catalog?n=100>; rel="next"`)
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
			registrytest.LinkParameter(beganWith, "again"+strconv.FormatInt(times.Add(1), 10))(answer).ServeHTTP(w, again)
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
			w.Header().Set("Link", `</v2/_catalog?n=100&last=zz-endless%2F`+next+`>; rel="next"`)
			registrytest.Answer(http.StatusOK, nil, `{"repositories":[`+strings.Join(names, ",")+`]}`)(nil).ServeHTTP(w, nil)
		})
	}
}
