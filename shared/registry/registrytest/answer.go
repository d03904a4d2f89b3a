package registrytest

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"time"
)

var repositoryName = regexp.MustCompile(`\A[a-z0-9]+(([._]|__|-*)[a-z0-9]+)*(/[a-z0-9]+(([._]|__|-*)[a-z0-9]+)*)*\z`)

// answer is what the registry says when nothing is wrong with it.
func (r *Registry) answer(w http.ResponseWriter, req *http.Request, asked route) {
	if r.version != "" {
		w.Header().Set("Gitlab-Container-Registry-Version", r.version)
	}
	w.Header().Set("Docker-Distribution-Api-Version", "registry/2.0")
	w.Header().Set("Date", r.now().UTC().Format(http.TimeFormat))
	gitlabRoute := asked.kind == Probe || asked.kind == List || asked.kind == Details
	switch {
	case gitlabRoute && r.opts.Mode == GitLabNoDatabase:
		w.WriteHeader(http.StatusNotFound)
	case asked.kind == Other, gitlabRoute && r.opts.Mode == Distribution,
		asked.repository != "" && !repositoryName.MatchString(asked.repository):
		http.NotFound(w, req)
	case asked.slashless:
		http.Redirect(w, req, req.URL.Path+"/", http.StatusMovedPermanently)
	case asked.kind == Token:
		r.answerToken(w, req)
	case req.Method != http.MethodGet:
		w.Header().Set("Allow", "GET")
		w.WriteHeader(http.StatusMethodNotAllowed)
	case !r.authorized(w, req, asked):
	default:
		r.answerGranted(w, req, asked)
	}
}

func (r *Registry) answerGranted(w http.ResponseWriter, req *http.Request, asked route) {
	if len(asked.repository) > 255 {
		writeError(w, http.StatusInternalServerError, "UNKNOWN", nil)
		return
	}
	switch asked.kind {
	case Ping:
		r.answerPing(w)
	case Probe:
		writeJSON(w, struct{}{})
	case List:
		r.answerList(w, req, asked)
	case Details:
		r.answerDetails(w, req, asked)
	case Catalog:
		r.answerCatalog(w, req)
	case Tags:
		r.answerTags(w, asked)
	}
}

func (r *Registry) answerPing(w http.ResponseWriter) {
	if r.opts.Mode != Distribution {
		w.Header().Set("Gitlab-Container-Registry-Database-Enabled", strconv.FormatBool(r.opts.Mode == GitLab))
	}
	writeJSON(w, struct{}{})
}

// listEntry is one of GitLab's list API.
type listEntry struct {
	Name      string `json:"name"`
	Path      string `json:"path"`
	CreatedAt string `json:"created_at"`
}

func (r *Registry) answerList(w http.ResponseWriter, req *http.Request, asked route) {
	query := req.URL.Query()
	n, code := pageSize(query, 100, 1000)
	if code == "" && query.Has("last") && query.Get("last") == "" {
		code = "INVALID_QUERY_PARAMETER_VALUE"
	}
	if code != "" {
		writeError(w, http.StatusBadRequest, code, nil)
		return
	}
	repos, known := r.list(asked.repository, query.Get("last"), n)
	if !known {
		top, _, _ := strings.Cut(asked.repository, "/")
		writeError(w, http.StatusNotFound, "NAME_UNKNOWN", map[string]string{"namespace": top})
		return
	}
	entries := make([]listEntry, 0, len(repos))
	for _, repo := range repos {
		entries = append(entries, listEntry{Name: repo.name(), Path: repo.path, CreatedAt: repo.createdAt()})
	}
	if len(repos) == n {
		setNext(w, req, n, repos[n-1].path)
	}
	writeJSON(w, entries)
}

func (r *repository) name() string { return r.path[strings.LastIndexByte(r.path, '/')+1:] }

func (r *repository) createdAt() string { return r.created.UTC().Format("2006-01-02T15:04:05.000Z") }

func pageSize(query url.Values, standard, most int) (n int, code string) {
	if !query.Has("n") {
		return standard, ""
	}
	n, err := strconv.Atoi(query.Get("n"))
	switch {
	case err != nil:
		return 0, "INVALID_QUERY_PARAMETER_TYPE"
	case n < 1 || n > most:
		return 0, "INVALID_QUERY_PARAMETER_VALUE"
	}
	return n, ""
}

// setNext links to the page behind last, in the registry's own words: relative,
// with its prefix.
func setNext(w http.ResponseWriter, req *http.Request, n int, last string) {
	query := url.Values{"n": {strconv.Itoa(n)}, "last": {last}}
	w.Header().Set("Link", fmt.Sprintf(`<%s?%s>; rel="next"`, req.URL.EscapedPath(), query.Encode()))
}

func (r *Registry) answerCatalog(w http.ResponseWriter, req *http.Request) {
	query := req.URL.Query()
	n, code := pageSize(query, 100, r.opts.CatalogLimit)
	if code != "" {
		if r.opts.Mode == Distribution {
			code = "PAGINATION_NUMBER_INVALID"
		}
		writeError(w, http.StatusBadRequest, code, map[string]string{"n": query.Get("n")})
		return
	}
	asked := n
	if r.opts.CatalogPage > 0 {
		n = min(n, r.opts.CatalogPage)
	}
	repos := r.catalog(query.Get("last"))
	if len(repos) > n {
		repos = repos[:n]
		setNext(w, req, asked, repos[n-1].path)
	}
	paths := make([]string, 0, len(repos))
	for _, repo := range repos {
		paths = append(paths, repo.path)
	}
	writeJSON(w, map[string][]string{"repositories": paths})
}

func (r *Registry) answerTags(w http.ResponseWriter, asked route) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	repo := r.known[asked.repository]
	if repo == nil {
		writeError(w, http.StatusNotFound, "NAME_UNKNOWN", map[string]string{"name": asked.repository})
		return
	}
	tags := repo.tags
	if tags == nil && r.opts.Mode == Distribution {
		tags = []string{}
	}
	writeJSON(w, map[string]any{"name": repo.path, "tags": tags})
}

func (r *Registry) answerDetails(w http.ResponseWriter, req *http.Request, asked route) {
	bytes, repo, known := r.size(asked.repository)
	if !known {
		writeError(w, http.StatusNotFound, "NAME_UNKNOWN", nil)
		return
	}
	details := map[string]any{"path": asked.repository, "created_at": "", "size_precision": "default"}
	if repo != nil {
		details["created_at"] = repo.createdAt()
	}
	details["name"] = asked.repository[strings.LastIndexByte(asked.repository, '/')+1:]
	if req.URL.Query().Get("size") == "self_with_descendants" {
		details["size_bytes"] = bytes
	}
	writeJSON(w, details)
}

func writeJSON(w http.ResponseWriter, value any) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(value) // the client has gone
}

func writeError(w http.ResponseWriter, status int, code string, detail any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(map[string]any{"errors": []map[string]any{ // the client has gone
		{"code": code, "message": strings.ToLower(strings.ReplaceAll(code, "_", " ")), "detail": detail},
	}})
}

// SetLatency holds back each answer from now on.
func (r *Registry) SetLatency(d time.Duration) { r.latency.Store(int64(d)) }

// SetLoad makes the latency depend on how many requests are in flight when one
// comes, itself included; in place of SetLatency's.
func (r *Registry) SetLoad(latency func(inFlight int) time.Duration) { r.load.Store(&latency) }
