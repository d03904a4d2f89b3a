package registry

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// nameUnknown is the code with which a registry says that it holds nothing of
// that name.
const nameUnknown = "NAME_UNKNOWN"

// Error is an answer, or the lack of one, that is not what was asked for. It
// never holds a credential, nor a query.
type Error struct {
	// StatusCode is the answer's, 0 if none came. It is 200 where the body is
	// not what it should be.
	StatusCode int
	// Code is that of the registry's JSON error body, such as NAME_UNKNOWN; ""
	// if it has none, or several that differ.
	Code string
	// Path is that of the request, without query.
	Path string
	// Reason is one clear line for an operator.
	Reason string
	// RetryAfter is how long the registry asks to be left alone, 0 if it does
	// not say.
	RetryAfter time.Duration

	outage  bool
	noBody  bool   // the answer's body was empty
	version string // of GitLab's registry, as the answer's header has it
	err     error
}

func (e *Error) Error() string { return "registry " + e.Path + ": " + e.Reason }

// Unwrap gives the error below, nil if the answer itself is the fault.
func (e *Error) Unwrap() error { return e.err }

// Outage tells whether the error by itself says that it is the registry that
// fails and not the one project: no connection, TLS, credentials that are
// refused even after renewal, 429, 503, a 404 that does not say NAME_UNKNOWN.
// Of any other error (500, a timeout, a malformed body) that remains to be
// found out, by listing something that was well before.
func (e *Error) Outage() bool { return e.outage }

// timeoutError is the cause with which the client's own deadlines end a context.
type timeoutError struct {
	what  string
	after time.Duration
}

func (e *timeoutError) Error() string {
	return fmt.Sprintf("%s was not there after %s", e.what, e.after)
}

// ended says why ctx is over: by a deadline of the client's own an *Error, by
// the caller's doing the context's error together with its cause.
func ended(ctx context.Context, status int, path string) error {
	cause := context.Cause(ctx)
	var own *timeoutError
	switch {
	case errors.As(cause, &own):
		return &Error{StatusCode: status, Path: path, Reason: own.Error(), err: own}
	case errors.Is(cause, ctx.Err()):
		return fmt.Errorf("registry %s: %w", path, cause)
	default:
		return fmt.Errorf("registry %s: %w: %w", path, ctx.Err(), cause)
	}
}

// noAnswer is the error for a request that got no answer.
func noAnswer(ctx context.Context, path string, err error) error {
	if ctx.Err() != nil {
		return ended(ctx, 0, path)
	}
	if own := (*Error)(nil); errors.As(err, &own) {
		own.Path = path
		return own
	}
	// The URL would bring the query into every log.
	if wrapped := (*url.Error)(nil); errors.As(err, &wrapped) {
		err = wrapped.Err
	}
	return &Error{Path: path, Reason: "no answer: " + err.Error() + tlsHint(err), outage: true, err: err}
}

func tlsHint(err error) string {
	var (
		authority x509.UnknownAuthorityError
		hostname  x509.HostnameError
		plain     tls.RecordHeaderError
	)
	switch {
	case errors.As(err, &authority):
		return ": give the authority's certificate as CA file"
	case errors.As(err, &hostname):
		return ": use the name that the certificate was made for"
	case errors.As(err, &plain):
		return ": does the registry speak http instead of https?"
	}
	return ""
}

// malformed is the error for an answer with the expected status and a body
// that is not what it should be.
func malformed(path string, header http.Header, err error) *Error {
	reason := "200 OK, but the body is not what was asked for: " + err.Error()
	if kind := header.Get("Content-Type"); kind != "" && !strings.Contains(kind, "json") {
		reason += fmt.Sprintf(" (Content-Type %.40q)", kind)
	}
	return &Error{StatusCode: http.StatusOK, Path: path, Reason: reason, err: err}
}
