package registrytest

import (
	"net/http"
	"slices"
	"sync"
	"time"
)

// Request is one that the registry was sent.
type Request struct {
	Kind          Kind
	Repository    string // the path in the URL, "" where there is none
	Method        string
	URI           string
	Authorization string
	Start, End    time.Time // End is zero while it is in flight
	InFlight      int       // how many there were at its start, itself included
	Status        int       // 0: none was sent
}

// requestLog remembers requests and counts those in flight.
type requestLog struct {
	limit int

	mu       sync.Mutex
	requests []*Request
	total    int
	inFlight int
	most     int
}

// begin records the start of a request, with which so many are in flight; done
// its end.
func (l *requestLog) begin(req *http.Request, asked route) (inFlight int, done func(status int)) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.inFlight++
	l.total++
	l.most = max(l.most, l.inFlight)
	entry := &Request{
		Kind: asked.kind, Repository: asked.repository, Method: req.Method, URI: req.RequestURI,
		Authorization: req.Header.Get("Authorization"), Start: time.Now(), InFlight: l.inFlight,
	}
	if len(l.requests) < l.limit {
		l.requests = append(l.requests, entry)
	}
	return l.inFlight, func(status int) {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.inFlight--
		entry.End, entry.Status = time.Now(), status
	}
}

// Requests gives the requests so far, in the order of their arrival; of the
// given kinds only, if there are any.
func (r *Registry) Requests(kinds ...Kind) []Request {
	r.log.mu.Lock()
	defer r.log.mu.Unlock()
	var requests []Request
	for _, req := range r.log.requests {
		if len(kinds) == 0 || slices.Contains(kinds, req.Kind) {
			requests = append(requests, *req)
		}
	}
	return requests
}

// Count tells how many requests came, those no longer remembered included.
func (r *Registry) Count() int {
	r.log.mu.Lock()
	defer r.log.mu.Unlock()
	return r.log.total
}

// InFlight tells how many requests are being answered.
func (r *Registry) InFlight() int {
	r.log.mu.Lock()
	defer r.log.mu.Unlock()
	return r.log.inFlight
}

// MaxInFlight tells how many were being answered at once at most.
func (r *Registry) MaxInFlight() int {
	r.log.mu.Lock()
	defer r.log.mu.Unlock()
	return r.log.most
}

// Forget forgets the requests so far, and what was most.
func (r *Registry) Forget() {
	r.log.mu.Lock()
	defer r.log.mu.Unlock()
	r.log.requests, r.log.total, r.log.most = nil, 0, r.log.inFlight
}
