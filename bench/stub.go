package main

import (
	"encoding/json"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// stubVerb makes the bench's own program the registry: a process of its own,
// so that neither its time nor its memory is taken for a contestant's.
const stubVerb = "registry-stub"

// orders are what the stub is told before a round.
type orders struct {
	Shape shape `json:"shape"`
	// Delay is how long each answer takes.
	Delay time.Duration `json:"delay"`
	// Record keeps the addresses of the scan's listings.
	Record bool `json:"record"`
}

// stub is a registry with GitLab's API that holds what its shape says.
type stub struct {
	orders  atomic.Pointer[orders]
	figures figures

	mu       sync.Mutex
	recorded []string
}

// figures count since the last orders.
type figures struct {
	requests, listings     atomic.Int64
	catalog, tags          atomic.Int64 // requests for a page of the catalog, or for tags
	busy                   atomic.Int64 // nanoseconds of listings, from request to answer
	inFlight, mostInFlight atomic.Int64
	first, last            atomic.Int64 // of listings: beginning and end, in Unix nanoseconds
}

// told is how figures are handed out.
type told struct {
	Requests     int64         `json:"requests"`
	Listings     int64         `json:"listings"`
	Catalog      int64         `json:"catalog"`
	Tags         int64         `json:"tags"`
	MostInFlight int64         `json:"most_in_flight"`
	Busy         time.Duration `json:"busy"`
	First        time.Time     `json:"first"`
	Last         time.Time     `json:"last"`
}

// serveStub serves until the process ends, which is with its parent's.
func serveStub(address string) error {
	listener, err := net.Listen("tcp", address)
	if err != nil {
		return err
	}
	s := &stub{}
	s.orders.Store(&orders{})
	return (&http.Server{Handler: s}).Serve(listener)
}

const (
	listRoute, listEnd = "/gitlab/v1/repository-paths/", "/repositories/list/"
	catalogRoute       = "/v2/_catalog"
	tagsEnd            = "/tags/list"
)

// ServeHTTP answers as GitLab's registry does, and the bench's own questions.
func (s *stub) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if own, ok := strings.CutPrefix(r.URL.Path, "/bench/"); ok {
		s.own(own, w, r)
		return
	}
	o, began := s.orders.Load(), time.Now()
	n := s.figures.inFlight.Add(1)
	raise(&s.figures.mostInFlight, n)
	if o.Delay > 0 {
		time.Sleep(o.Delay)
	}
	path, list := strings.CutPrefix(r.URL.Path, listRoute)
	if list {
		s.list(o, w, r, strings.TrimSuffix(path, listEnd))
	} else {
		s.figures.other(r.URL.Path)
		o.other(w, r)
	}
	// A repository's own listing is the witness's.
	if list && !strings.HasSuffix(path, "/"+repositoryName+listEnd) {
		s.figures.listing(began, time.Now())
		s.record(o, r)
	}
	s.figures.requests.Add(1)
	s.figures.inFlight.Add(-1)
}

func (f *figures) listing(began, ended time.Time) {
	f.listings.Add(1)
	f.busy.Add(int64(ended.Sub(began)))
	f.first.CompareAndSwap(0, began.UnixNano())
	raise(&f.last, ended.UnixNano())
}

// other counts what is no listing.
func (f *figures) other(path string) {
	switch {
	case path == catalogRoute:
		f.catalog.Add(1)
	case strings.HasSuffix(path, tagsEnd):
		f.tags.Add(1)
	}
}

func raise(most *atomic.Int64, n int64) {
	for {
		old := most.Load()
		if n <= old || most.CompareAndSwap(old, n) {
			return
		}
	}
}

func (s *stub) record(o *orders, r *http.Request) {
	if !o.Record {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.recorded = append(s.recorded, r.URL.RequestURI())
}

// own answers the bench: begin takes orders, figures and recorded tell.
func (s *stub) own(what string, w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var answer any
	switch what {
	case "begin":
		var o orders
		if err := json.NewDecoder(r.Body).Decode(&o); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		s.recorded = nil
		s.figures.reset()
		s.orders.Store(&o)
	case "figures":
		answer = s.figures.tell()
	case "recorded":
		answer = s.recorded
	}
	_ = json.NewEncoder(w).Encode(answer) // a bench that is gone needs no answer
}

func (f *figures) reset() {
	for _, n := range []*atomic.Int64{&f.requests, &f.listings, &f.catalog, &f.tags, &f.busy, &f.mostInFlight, &f.first, &f.last} {
		n.Store(0)
	}
}

func (f *figures) tell() told {
	return told{
		Requests: f.requests.Load(), Listings: f.listings.Load(), Catalog: f.catalog.Load(), Tags: f.tags.Load(), MostInFlight: f.mostInFlight.Load(),
		Busy:  time.Duration(f.busy.Load()),
		First: time.Unix(0, f.first.Load()), Last: time.Unix(0, f.last.Load()),
	}
}
