// Package registrytest is a registry for tests and benchmarks: a double of
// GitLab's registry on the wire, with the faults it has in collations other than
// C, and of a registry that speaks the distribution API only. It holds names and
// tags, no images.
package registrytest

import (
	"cmp"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// Mode says which registry is doubled.
type Mode int

// The registries.
const (
	GitLab           Mode = iota // with its metadata database
	GitLabNoDatabase             // whose /gitlab/v1/ routes are all 404
	Distribution                 // the distribution API only
)

// Options say what the double is like. Their zero value is GitLab's registry on
// a database of collation C, open to everyone.
type Options struct {
	Mode      Mode
	Collation Collation
	// Prefix is the registry's configured one, such as "/registry".
	Prefix string
	// Version is sent by GitLab's; 4.32.0-gitlab by default.
	Version string
	// CatalogLimit is the largest n of the catalog; 1000 by default.
	CatalogLimit int
	// CatalogPage is how many entries a page of the catalog has at most, however
	// many are asked for; 0: as many.
	CatalogPage int
	// Latency is how long each answer is held back.
	Latency time.Duration
	// TagsLatency is that of answers about one repository's tags; 0: the same.
	TagsLatency time.Duration
	// Auth says who may do what; nil: everyone everything.
	Auth *Auth
	// Record bounds the requests that are remembered; 1,000,000 by default.
	Record int
}

// Registry answers as a registry would. It is safe for concurrent use.
type Registry struct {
	opts    Options
	version string
	latency atomic.Int64 // a time.Duration
	load    atomic.Pointer[func(inFlight int) time.Duration]
	ahead   atomic.Int64 // a time.Duration
	tokens  tokenStore
	faults  faults
	log     requestLog

	mu         sync.RWMutex
	all        index
	namespaces map[string]*index // never forgotten, as in the real one
	known      map[string]*repository
}

// repository is one that something was pushed to.
type repository struct {
	path    string
	sortKey string
	tags    []string
	size    int64
	created time.Time
}

// New builds an empty registry.
func New(opts Options) *Registry {
	opts.CatalogLimit = cmp.Or(opts.CatalogLimit, 1000)
	opts.Record = cmp.Or(opts.Record, 1_000_000)
	opts.Version = cmp.Or(opts.Version, "4.32.0-gitlab")
	r := &Registry{opts: opts, namespaces: map[string]*index{}, known: map[string]*repository{}}
	r.log.limit = opts.Record
	r.latency.Store(int64(opts.Latency))
	if opts.Mode != Distribution {
		r.version = opts.Version
	}
	return r
}

// Push adds a manifest of one kilobyte with these tags to a repository; without
// tags, one that nothing points to.
func (r *Registry) Push(path string, tags ...string) { r.PushSized(path, 1024, tags...) }

// PushSized is Push with a manifest whose layers have that size; 0 is an image
// without layers.
func (r *Registry) PushSized(path string, size int64, tags ...string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	repo := r.known[path]
	if repo == nil {
		repo = &repository{path: path, sortKey: r.opts.Collation.key(path), created: time.Now()}
		r.known[path] = repo
		r.all.add(repo)
		r.namespace(path).add(repo)
	}
	for _, tag := range tags {
		if !slices.Contains(repo.tags, tag) {
			repo.tags = append(repo.tags, tag)
		}
	}
	repo.size += size
}

// SetCreated changes when a repository was created.
func (r *Registry) SetCreated(path string, at time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if repo := r.known[path]; repo != nil {
		repo.created = at
	}
}

// Untag takes all tags from a repository; its manifests stay.
func (r *Registry) Untag(path string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if repo := r.known[path]; repo != nil {
		repo.tags = nil
	}
}

// Delete removes a repository. Its namespace stays known.
func (r *Registry) Delete(path string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	repo := r.known[path]
	if repo == nil {
		return
	}
	delete(r.known, path)
	r.all.remove(repo)
	r.namespace(path).remove(repo)
}

// Tagged gives the paths of all repositories that have a tag, in bytewise order:
// what any right listing has to add up to.
func (r *Registry) Tagged() []string {
	r.mu.RLock()
	defer r.mu.RUnlock()
	var paths []string
	for path, repo := range r.known {
		if len(repo.tags) > 0 {
			paths = append(paths, path)
		}
	}
	slices.Sort(paths)
	return paths
}

func (r *Registry) namespace(path string) *index {
	top, _, _ := strings.Cut(path, "/")
	if r.namespaces[top] == nil {
		r.namespaces[top] = &index{}
	}
	return r.namespaces[top]
}

// ServeHTTP answers a request, records it, and lets a fault spoil the answer.
func (r *Registry) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	asked := r.parse(req)
	counted := &StatusWriter{ResponseWriter: w}
	inFlight, done := r.log.begin(req, asked)
	defer func() { done(counted.Status) }()
	if !r.wait(req, inFlight, asked.kind) {
		return
	}
	answer := http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) { r.answer(w, req, asked) })
	r.faults.wrap(r, asked, answer).ServeHTTP(counted, req)
}

// wait holds the answer back, and tells whether someone still waits for it.
func (r *Registry) wait(req *http.Request, inFlight int, kind Kind) bool {
	latency := time.Duration(r.latency.Load())
	if kind == Tags {
		latency = cmp.Or(r.opts.TagsLatency, latency)
	}
	if load := r.load.Load(); load != nil {
		latency = (*load)(inFlight)
	}
	if latency <= 0 {
		return true
	}
	timer := time.NewTimer(latency)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-req.Context().Done():
		return false
	}
}

// StatusWriter remembers the status of an answer, 0 while there is none.
type StatusWriter struct {
	http.ResponseWriter
	Status int
}

// WriteHeader passes the status on.
func (w *StatusWriter) WriteHeader(status int) {
	if w.Status == 0 {
		w.Status = status
	}
	w.ResponseWriter.WriteHeader(status)
}

// Write passes a part of the body on.
func (w *StatusWriter) Write(p []byte) (int, error) {
	if w.Status == 0 {
		w.Status = http.StatusOK
	}
	return w.ResponseWriter.Write(p)
}

// Unwrap lets http.ResponseController reach the connection.
func (w *StatusWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }
