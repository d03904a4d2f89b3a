package registry

import (
	"fmt"
	"io"
	"math"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// The headers by which GitLab's registry can be told.
const (
	versionHeader  = "Gitlab-Container-Registry-Version"
	databaseHeader = "Gitlab-Container-Registry-Database-Enabled"
)

// maxErrorBody bounds what is read of an answer that is an error.
const maxErrorBody = 64 << 10

// unexpected is the error for an answer that is not 200.
func unexpected(resp *http.Response, path string, rights []access, now time.Time) *Error {
	body, _ := io.ReadAll(io.LimitReader(resp.Body, maxErrorBody)) // cut, it has no code
	e := &Error{
		StatusCode: resp.StatusCode,
		Code:       errorCode(body),
		Path:       path,
		RetryAfter: askedFor(resp.Header, now),
		noBody:     len(body) == 0,
		version:    resp.Header.Get(versionHeader),
	}
	e.outage = isOutage(e.StatusCode, e.Code)
	e.Reason = reason(e, resp, rights)
	return e
}

func isOutage(status int, code string) bool {
	switch status {
	case http.StatusUnauthorized, http.StatusTooManyRequests, http.StatusServiceUnavailable:
		return true
	case http.StatusNotFound:
		return code != nameUnknown
	}
	return false
}

func reason(e *Error, resp *http.Response, rights []access) string {
	line := fmt.Sprintf("%d %s", e.StatusCode, http.StatusText(e.StatusCode))
	if e.Code != "" {
		line += " " + e.Code
	}
	switch {
	case e.StatusCode/100 == 3:
		return line + redirectTarget(resp.Header.Get("Location"))
	case e.StatusCode == http.StatusUnauthorized || e.StatusCode == http.StatusForbidden:
		return line + refusal(resp, rights)
	case e.StatusCode == http.StatusNotFound && e.noBody && e.version != "":
		return line + ": this is GitLab's registry with its metadata database off, which has no list API"
	case e.StatusCode == http.StatusNotFound && e.Code != nameUnknown:
		return line + ": this is not the registry's own \"name unknown\": check the registry's URL and API"
	case e.StatusCode/100 == 2:
		return line + ": only 200 is a listing"
	}
	return line
}

func redirectTarget(location string) string {
	u, err := url.Parse(location)
	if err != nil || u.Host == "" {
		return ": redirects are not followed"
	}
	return fmt.Sprintf(" to host %.80q: redirects are not followed", u.Host)
}

// refusal says what was refused and what to look at. The challenge is the
// registry's own text, so only its known, harmless parts are repeated.
func refusal(resp *http.Response, rights []access) string {
	var line string
	if scopes := scopesFor(rights); len(scopes) > 0 {
		line = " for scope " + strings.Join(scopes, " ")
	}
	sent, _, _ := strings.Cut(resp.Request.Header.Get("Authorization"), " ")
	switch sent {
	case "Bearer":
		line += " even after a new token: check issuer, service and key, or the user's rights"
	case "Basic":
		line += ": check user name and password"
	default:
		line += ": no credentials were sent"
	}
	if c, ok := findChallenge(resp.Header); ok && c.params["error"] == "insufficient_scope" {
		line += " (insufficient_scope)"
	}
	return line
}

// errorCode gives the one code of a registry's error body, or "": a body that
// says two things, or is not whole, says nothing.
func errorCode(body []byte) string {
	dec := newDecoder(strings.NewReader(string(body)))
	var codes []string
	err := dec.document(func() error {
		return dec.object(func(key string) error {
			if key != "errors" {
				return dec.skip()
			}
			return dec.array(func() error {
				code, err := dec.errorEntry()
				codes = append(codes, code)
				return err
			})
		})
	})
	if err != nil || len(codes) == 0 {
		return ""
	}
	for _, code := range codes {
		if code != codes[0] {
			return ""
		}
	}
	return codes[0]
}

func (d *decoder) errorEntry() (code string, err error) {
	err = d.object(func(key string) error {
		if key != "code" {
			return d.skip()
		}
		code, err = d.text()
		return err
	})
	return code, err
}

// askedFor is how long an answer asks its sender to be left alone. A date is one of
// the clock that the answer's own date is of, which may not be ours.
func askedFor(header http.Header, now time.Time) time.Duration {
	if date, err := http.ParseTime(header.Get("Date")); err == nil {
		now = date
	}
	return retryAfter(header.Get("Retry-After"), now)
}

// retryAfter reads seconds (GitLab sends 1.000000) or an HTTP date; 0 for what
// is neither or is past. A day is the most that is believed.
func retryAfter(value string, now time.Time) time.Duration {
	const most = 24 * time.Hour
	value = strings.TrimSpace(value)
	if seconds, err := strconv.ParseFloat(value, 64); err == nil {
		if math.IsNaN(seconds) || seconds <= 0 {
			return 0
		}
		return time.Duration(min(seconds, most.Seconds()) * float64(time.Second))
	}
	at, err := http.ParseTime(value)
	if err != nil {
		return 0
	}
	return min(max(at.Sub(now), 0), most)
}
