package registrytest

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"time"
)

// Fault spoils an answer. The answer it is given is the right one.
type Fault func(answer http.Handler) http.Handler

// Where says which requests a fault is for. Its zero value is all of them.
type Where struct {
	Kind       Kind   // "": each
	Repository string // the path in the URL; "": each
	Page       int    // of a list or catalog, from 1; 0: each
	Times      int    // how often; 0: always
}

// Hook is asked at each request and tells whether it has answered it.
type Hook func(w http.ResponseWriter, req *http.Request, page int) bool

type faults struct {
	mu    sync.Mutex
	rules []*rule
	hook  Hook
}

type rule struct {
	Where
	fault Fault
	done  int
}

// Fail lets a fault spoil answers from now on, until remove is called. Of several
// the first that fits counts.
func (r *Registry) Fail(where Where, fault Fault) (remove func()) {
	added := &rule{Where: where, fault: fault}
	r.faults.mu.Lock()
	defer r.faults.mu.Unlock()
	r.faults.rules = append(r.faults.rules, added)
	return func() {
		r.faults.mu.Lock()
		defer r.faults.mu.Unlock()
		for i, present := range r.faults.rules {
			if present == added {
				r.faults.rules = append(r.faults.rules[:i:i], r.faults.rules[i+1:]...)
				return
			}
		}
	}
}

// Hook sets what is asked at each request; nil takes it away.
func (r *Registry) Hook(hook Hook) {
	r.faults.mu.Lock()
	defer r.faults.mu.Unlock()
	r.faults.hook = hook
}

func (f *faults) wrap(r *Registry, asked route, answer http.Handler) http.Handler {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.hook == nil && len(f.rules) == 0 {
		return answer
	}
	hook, rules := f.hook, f.rules
	return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		page := r.page(req, asked)
		if hook != nil && hook(w, req, page) {
			return
		}
		for _, rule := range rules {
			if f.takes(rule, asked, page) {
				rule.fault(answer).ServeHTTP(w, req)
				return
			}
		}
		answer.ServeHTTP(w, req)
	})
}

func (f *faults) takes(r *rule, asked route, page int) bool {
	if r.Kind != "" && r.Kind != asked.kind || r.Repository != "" && r.Repository != asked.repository ||
		r.Page != 0 && r.Page != page {
		return false
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if r.Times != 0 && r.done == r.Times {
		return false
	}
	r.done++
	return true
}

// page is the number of the page that a request asks for, from 1.
func (r *Registry) page(req *http.Request, asked route) int {
	query := req.URL.Query()
	last := query.Get("last")
	n, code := pageSize(query, 100, 1000)
	if last == "" || code != "" {
		return 1
	}
	var all []*repository
	switch asked.kind {
	case List:
		all, _ = r.list(asked.repository, "", 1<<30)
	case Catalog:
		all = r.catalog("")
	}
	for i, repo := range all {
		if repo.path == last {
			return (i+1)/n + 1
		}
	}
	return 1
}

// Answer gives the same answer to every request.
func Answer(status int, header map[string]string, body string) Fault {
	return func(http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			for name, value := range header {
				w.Header().Set(name, value)
			}
			w.WriteHeader(status)
			_, _ = w.Write([]byte(body)) // the client has gone
		})
	}
}

// Status answers with a status and an error body of the code; "" for no body.
func Status(status int, code string) Fault {
	return func(http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			if code == "" {
				w.WriteHeader(status)
				return
			}
			writeError(w, status, code, nil)
		})
	}
}

// TooMany answers 429 as GitLab's registry does, with a number with a point.
func TooMany(retryAfter string) Fault {
	return Answer(http.StatusTooManyRequests, map[string]string{"Retry-After": retryAfter},
		`{"errors":[{"code":"TOOMANYREQUESTS","message":"too many requests"}]}`)
}

// HTML answers 200 with a web page, as a proxy's login or error page is.
func HTML() Fault {
	return Answer(http.StatusOK, map[string]string{"Content-Type": "text/html"}, "<!DOCTYPE html><html><body>Sign in</body></html>")
}

// Null answers 200 with null.
func Null() Fault { return Answer(http.StatusOK, nil, "null") }

// Redirect sends the client elsewhere.
func Redirect(to string) Fault {
	return Answer(http.StatusFound, map[string]string{"Location": to}, "")
}

// CutAt sends the first n bytes of the right body and drops the connection.
func CutAt(n int) Fault {
	return change(func(w http.ResponseWriter, _ *http.Request, right *httptest.ResponseRecorder) {
		cut(w, right, n)
	})
}

func cut(w http.ResponseWriter, right *httptest.ResponseRecorder, n int) {
	send(w, right, right.Body.Bytes()[:min(n, right.Body.Len())])
	_ = http.NewResponseController(w).Flush() // the client has gone
	panic(http.ErrAbortHandler)
}

// Drop closes the connection without an answer.
func Drop() Fault {
	return func(http.Handler) http.Handler {
		return http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) })
	}
}

// Hang never answers; it ends when the client gives up.
func Hang() Fault {
	return func(http.Handler) http.Handler {
		return http.HandlerFunc(func(_ http.ResponseWriter, req *http.Request) { <-req.Context().Done() })
	}
}

// Hold answers rightly when release is closed, or not at all if the client gives
// up before.
func Hold(release <-chan struct{}) Fault {
	return func(answer http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
			select {
			case <-release:
				answer.ServeHTTP(w, req)
			case <-req.Context().Done():
			}
		})
	}
}

// Trickle sends the right body byte by byte.
func Trickle(pause time.Duration) Fault {
	return change(func(w http.ResponseWriter, req *http.Request, right *httptest.ResponseRecorder) {
		send(w, right, nil)
		tick := time.NewTicker(pause)
		defer tick.Stop()
		for _, b := range right.Body.Bytes() {
			_, _ = w.Write([]byte{b})                 // the client has gone
			_ = http.NewResponseController(w).Flush() // the client has gone
			select {
			case <-tick.C:
			case <-req.Context().Done():
				return
			}
		}
	})
}

// Link sends the right page with another Link; "" takes it away.
func Link(value string) Fault {
	return change(func(w http.ResponseWriter, _ *http.Request, right *httptest.ResponseRecorder) {
		right.Header().Del("Link")
		if value != "" {
			right.Header().Set("Link", value)
		}
		send(w, right, right.Body.Bytes())
	})
}

// RepeatPage lets the page's Link lead back to the page itself.
func RepeatPage() Fault {
	return change(func(w http.ResponseWriter, req *http.Request, right *httptest.ResponseRecorder) {
		right.Header().Set("Link", "<"+req.URL.RequestURI()+`>; rel="next"`)
		send(w, right, right.Body.Bytes())
	})
}

// ForeignLink moves the page's Link to another origin, as a proxy that ends TLS
// does.
func ForeignLink(origin string) Fault {
	return change(func(w http.ResponseWriter, _ *http.Request, right *httptest.ResponseRecorder) {
		if link := right.Header().Get("Link"); link != "" {
			right.Header().Set("Link", strings.Replace(link, "</", "<"+strings.TrimSuffix(origin, "/")+"/", 1))
		}
		send(w, right, right.Body.Bytes())
	})
}

// Body sends another body with the right page's headers.
func Body(body string) Fault {
	return change(func(w http.ResponseWriter, _ *http.Request, right *httptest.ResponseRecorder) {
		send(w, right, []byte(body))
	})
}

// change lets f send what it makes of the right answer.
func change(f func(w http.ResponseWriter, req *http.Request, right *httptest.ResponseRecorder)) Fault {
	return func(answer http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
			right := httptest.NewRecorder()
			answer.ServeHTTP(right, req)
			f(w, req, right)
		})
	}
}

func send(w http.ResponseWriter, right *httptest.ResponseRecorder, body []byte) {
	for name, values := range right.Header() {
		w.Header()[name] = values
	}
	w.WriteHeader(right.Code)
	_, _ = w.Write(body) // the client has gone
}

// Serve answers a request in the place of another Registry, as its Hook.
func (r *Registry) Serve(w http.ResponseWriter, req *http.Request, _ int) bool {
	r.ServeHTTP(w, req)
	return true
}
