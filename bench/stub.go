package main

import (
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"strconv"
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
	busy                   atomic.Int64 // nanoseconds of listings, from request to answer
	inFlight, mostInFlight atomic.Int64
	first, last            atomic.Int64 // of listings: beginning and end, in Unix nanoseconds
}

// told is how figures are handed out.
type told struct {
	Requests     int64         `json:"requests"`
	Listings     int64         `json:"listings"`
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

const listRoute, listEnd = "/gitlab/v1/repository-paths/", "/repositories/list/"

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
	for _, n := range []*atomic.Int64{&f.requests, &f.listings, &f.busy, &f.mostInFlight, &f.first, &f.last} {
		n.Store(0)
	}
}

func (f *figures) tell() told {
	return told{
		Requests: f.requests.Load(), Listings: f.listings.Load(), MostInFlight: f.mostInFlight.Load(),
		Busy:  time.Duration(f.busy.Load()),
		First: time.Unix(0, f.first.Load()), Last: time.Unix(0, f.last.Load()),
	}
}

// list answers the list API.
func (s *stub) list(o *orders, w http.ResponseWriter, r *http.Request, path string) {
	if path == strings.ToLower(largePath) {
		o.listLarge(w, r)
		return
	}
	body := append(make([]byte, 0, 256), '[')
	for repository := range o.Shape.below(path) {
		body = appendEntry(body, repository)
	}
	answer(w, append(body, ']'))
}

// below yields the registry paths of the repositories at or below the path.
func (s shape) below(path string) func(yield func(string) bool) {
	return func(yield func(string) bool) {
		group, id, ok := s.parse(path)
		switch {
		case !ok:
		case id == 0:
			for id := range s.taggedIn(group) {
				if !yield(s.repository(id)) {
					return
				}
			}
		case tagged(id):
			yield(s.repository(id))
		}
	}
}

// repository is the registry path of the project's one repository.
func (s shape) repository(id int64) string {
	return strings.ToLower(s.fullPath(id)) + "/" + repositoryName
}

func appendEntry(body []byte, path string) []byte {
	if len(body) > 1 {
		body = append(body, ',')
	}
	body = append(body, `{"name":"web","path":"`...)
	body = append(body, path...)
	return append(body, `","created_at":"2024-05-01T10:00:00.000Z"}`...)
}

func answer(w http.ResponseWriter, body []byte) {
	w.Header()["Content-Type"] = jsonType
	_, _ = w.Write(body) // who is gone needs no answer
}

var jsonType = []string{"application/json"}

// listLarge answers for the one project of many repositories.
func (o *orders) listLarge(w http.ResponseWriter, r *http.Request) {
	from, size := o.page(r, func(last string) (int64, bool) {
		n, err := strconv.ParseInt(last[strings.LastIndexByte(last, '-')+1:], 10, 64)
		return n, err == nil
	})
	body, n := []byte{'['}, from
	for ; n < from+size && n < o.Shape.Large; n++ {
		body = appendEntry(body, largeRepository(n+1))
	}
	if n < o.Shape.Large {
		linkNext(w, r, largeRepository(n), size)
	}
	answer(w, append(body, ']'))
}

func largeRepository(n int64) string {
	return fmt.Sprintf("%s/image-%d", strings.ToLower(largePath), n)
}

// page is after how many entries the page begins that is asked for, and its size.
func (o *orders) page(r *http.Request, place func(last string) (int64, bool)) (from, size int64) {
	query := r.URL.Query()
	size, err := strconv.ParseInt(query.Get("n"), 10, 64)
	if err != nil || size < 1 {
		size = 100
	}
	if last := query.Get("last"); last != "" {
		from, _ = place(last) // what is not ours is before all
	}
	return from, size
}

func linkNext(w http.ResponseWriter, r *http.Request, last string, size int64) {
	query := r.URL.Query()
	query.Set("last", last)
	query.Set("n", strconv.FormatInt(size, 10))
	w.Header().Set("Link", fmt.Sprintf(`<%s?%s>; rel="next"`, r.URL.Path, query.Encode()))
}

// other answers what is no listing: both roots, the catalog and tags.
func (o *orders) other(w http.ResponseWriter, r *http.Request) {
	switch path := r.URL.Path; {
	case path == "/v2/" || path == "/gitlab/v1/":
		w.Header().Set("Gitlab-Container-Registry-Version", "4.32.0-gitlab")
		w.Header().Set("Gitlab-Container-Registry-Database-Enabled", "true")
		answer(w, []byte("{}"))
	case path == "/v2/_catalog":
		o.catalog(w, r)
	case strings.HasSuffix(path, "/tags/list"):
		answer(w, []byte(`{"name":"web","tags":["v1"]}`))
	default:
		http.NotFound(w, r)
	}
}

// catalog lists every repository in the order of the projects' IDs.
func (o *orders) catalog(w http.ResponseWriter, r *http.Request) {
	from, size := o.page(r, func(last string) (int64, bool) {
		_, id, ok := o.Shape.parse(last)
		return id/withRepositories + 1, ok
	})
	body, most := []byte(`{"repositories":[`), (o.Shape.Projects+withRepositories-firstTagged)/withRepositories
	n := from
	for ; n < from+size && n < most; n++ {
		if n > from {
			body = append(body, ',')
		}
		body = strconv.AppendQuote(body, o.Shape.repository(n*withRepositories+firstTagged))
	}
	if n < most {
		linkNext(w, r, o.Shape.repository((n-1)*withRepositories+firstTagged), size)
	}
	answer(w, append(body, `]}`...))
}
