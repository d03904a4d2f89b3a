package dashboard

import (
	"crypto/sha256"
	"crypto/subtle"
	"net"
	"net/http"
	"strings"

	"github.com/sirupsen/logrus"
)

// maxRequestBody is far above what asynqmon's pages send: a list of task IDs.
const maxRequestBody = 1 << 20

// guard decides which requests get through to the pages.
type guard struct {
	login              bool
	username, password [sha256.Size]byte
	writes             bool
	origin             *http.CrossOriginProtection
	log                logrus.FieldLogger
}

func newGuard(cfg Config, log logrus.FieldLogger) *guard {
	return &guard{
		login:    cfg.login(),
		username: sha256.Sum256([]byte(cfg.Username)),
		password: sha256.Sum256([]byte(cfg.Password)),
		writes:   cfg.AllowWrites,
		origin:   http.NewCrossOriginProtection(),
		log:      log,
	}
}

func (g *guard) protect(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		status, reason := g.judge(r)
		if status == http.StatusOK {
			r.Body = http.MaxBytesReader(w, r.Body, maxRequestBody)
			next.ServeHTTP(w, r)
			return
		}
		if status == http.StatusUnauthorized {
			w.Header().Set("WWW-Authenticate", `Basic realm="regmend", charset="UTF-8"`)
		}
		if status == http.StatusMethodNotAllowed {
			w.Header().Set("Allow", "GET, HEAD")
		}
		g.refuse(w, r, status, reason)
	})
}

// judge is the whole decision; http.StatusOK lets the request through.
func (g *guard) judge(r *http.Request) (status int, reason string) {
	if g.login && !g.knows(r) {
		return http.StatusUnauthorized, "login required"
	}
	// A login keeps out pages that rebound their name to this machine: their
	// browser has no password for that name. Without one, the name must be ours.
	if !g.login && !loopback(hostname(r.Host)) {
		return http.StatusMisdirectedRequest, "without a login the pages answer to localhost, 127.0.0.1 and [::1] only"
	}
	if r.Method == http.MethodGet || r.Method == http.MethodHead {
		return http.StatusOK, ""
	}
	if !g.writes {
		return http.StatusMethodNotAllowed, "read-only: start regmend web with --allow-writes to change queues"
	}
	if err := g.origin.Check(r); err != nil {
		return http.StatusForbidden, "changes are accepted from regmend's own pages only"
	}
	return http.StatusOK, ""
}

// knows compares digests, so that neither length nor content of what is
// expected shows in the time it takes.
func (g *guard) knows(r *http.Request) bool {
	username, password, _ := r.BasicAuth()
	u, p := sha256.Sum256([]byte(username)), sha256.Sum256([]byte(password))
	return subtle.ConstantTimeCompare(u[:], g.username[:])&
		subtle.ConstantTimeCompare(p[:], g.password[:]) == 1
}

func (g *guard) refuse(w http.ResponseWriter, r *http.Request, status int, reason string) {
	// A browser's first request never brings the login: nothing to report.
	if status != http.StatusUnauthorized || r.Header.Get("Authorization") != "" {
		g.log.WithFields(logrus.Fields{
			"remote_addr": r.RemoteAddr, "method": r.Method, "path": r.URL.Path, "status": status,
		}).Warn("request refused: " + reason)
	}
	http.Error(w, reason, status)
}

// hostname is a Host header's name without port and brackets.
func hostname(hostport string) string {
	if host, _, err := net.SplitHostPort(hostport); err == nil {
		return host
	}
	return strings.TrimSuffix(strings.TrimPrefix(hostport, "["), "]")
}
