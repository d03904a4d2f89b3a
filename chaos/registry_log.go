package main

import (
	"slices"
	"sync"
	"time"

	"regmend/shared/registry/registrytest"
)

// request is one that the registry got.
type request struct {
	start, end time.Time // end is zero while it is in flight
	kind       registrytest.Kind
	path       string // of the repository in the URL, "" where there is none
	inFlight   int    // how many there were at its start, itself included
	status     int    // 0: none was sent
}

// works tells whether the request is one of a scan's or a sweep's, as against one
// by which an operator's command sees who the registry is.
func (r request) works() bool {
	return r.kind == registrytest.List || r.kind == registrytest.Catalog || r.kind == registrytest.Tags
}

// logPart is how many entries are made at once.
const logPart = 4096

// requestLog remembers every request: half a million of them in 16 MB.
type requestLog struct {
	began time.Time

	mu       sync.Mutex
	parts    []*[logPart]logged
	n        int
	inFlight int
	paths    []string
	pathOf   map[string]uint32 // its place in paths
}

// logged is a request, in 32 bytes. Times count from the log's beginning.
type logged struct {
	start, end       time.Duration
	path             uint32
	inFlight, status uint16
	kind             uint8
}

var requestKinds = []registrytest.Kind{
	registrytest.Other, registrytest.Ping, registrytest.Probe, registrytest.List,
	registrytest.Details, registrytest.Catalog, registrytest.Tags, registrytest.Token,
}

func newRequestLog() *requestLog {
	return &requestLog{began: time.Now(), pathOf: map[string]uint32{}}
}

// begin notes the start of a request, done its end.
func (l *requestLog) begin(kind registrytest.Kind, path string) (done func(status int)) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.inFlight++
	e := l.next()
	*e = logged{
		start: time.Since(l.began), path: l.place(path), inFlight: uint16(l.inFlight),
		kind: uint8(max(slices.Index(requestKinds, kind), 0)),
	}
	return func(status int) {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.inFlight--
		e.end, e.status = time.Since(l.began), uint16(status)
	}
}

// next is the place of the next entry, which never moves.
func (l *requestLog) next() *logged {
	i := l.n % logPart
	if i == 0 {
		l.parts = append(l.parts, new([logPart]logged))
	}
	l.n++
	return &l.parts[len(l.parts)-1][i]
}

func (l *requestLog) place(path string) uint32 {
	place, known := l.pathOf[path]
	if !known {
		place = uint32(len(l.paths))
		l.paths = append(l.paths, path)
		l.pathOf[path] = place
	}
	return place
}

// since gives the requests from the i-th on, in the order of their start.
func (l *requestLog) since(i int) []request {
	l.mu.Lock()
	defer l.mu.Unlock()
	requests := make([]request, 0, l.n-i)
	for ; i < l.n; i++ {
		requests = append(requests, l.request(&l.parts[i/logPart][i%logPart]))
	}
	return requests
}

func (l *requestLog) request(e *logged) request {
	r := request{
		start: l.began.Add(e.start), kind: requestKinds[e.kind], path: l.paths[e.path],
		inFlight: int(e.inFlight), status: int(e.status),
	}
	if e.end != 0 {
		r.end = l.began.Add(e.end)
	}
	return r
}

// now tells how many requests there were, and how many are in flight.
func (l *requestLog) now() (n, inFlight int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.n, l.inFlight
}
