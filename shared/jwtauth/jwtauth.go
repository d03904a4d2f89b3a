// Package jwtauth is the only door to GitLab's token endpoint. A token to push to a
// path is asked of it for what GitLab does then: it makes the container repository's
// row. The token itself is thrown away.
package jwtauth

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Config says which GitLab to ask, and as whom.
type Config struct {
	// URL is GitLab's, http(s)://host[:port][/prefix]. Nothing is sent elsewhere.
	URL string
	// Username and Password are of an administrator; a personal access token does
	// as password.
	Username string
	Password string
	// Service is container_registry by default.
	Service string
	// Timeout is for one request with its answer; 30 s by default.
	Timeout time.Duration
}

// Error is an answer, or the lack of one, that is no token. It holds no credential.
type Error struct {
	StatusCode int // 0 where none came
	Reason     string
	// RetryAfter is how long GitLab asks to be left alone; 0: it does not say.
	RetryAfter time.Duration
}

func (e *Error) Error() string { return "GitLab's token endpoint: " + e.Reason }

// Outage tells whether GitLab may answer later.
func (e *Error) Outage() bool {
	return e.StatusCode == 0 || e.StatusCode == http.StatusTooManyRequests || e.StatusCode >= http.StatusInternalServerError
}

// Refused tells whether it is the credentials that GitLab does not take.
func (e *Error) Refused() bool { return e.StatusCode == http.StatusUnauthorized }

// Client asks one GitLab. It is safe for concurrent use.
type Client struct {
	cfg  Config
	base *url.URL
	http *http.Client
}

// New checks the configuration, a line for each fault. It sends nothing.
func New(cfg Config) (*Client, error) {
	base, err := url.Parse(cfg.URL)
	switch {
	case err != nil || (base.Scheme != "http" && base.Scheme != "https") || base.Hostname() == "" || base.User != nil || base.RawQuery != "" || base.Fragment != "":
		return nil, errors.New("GitLab's URL is not of the form https://host[:port][/prefix], without user name, password and query")
	case cfg.Username == "" || cfg.Password == "":
		return nil, errors.New("GitLab's user name and password: set both")
	}
	if cfg.Service == "" {
		cfg.Service = "container_registry"
	}
	if cfg.Timeout == 0 {
		cfg.Timeout = 30 * time.Second
	}
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.MaxResponseHeaderBytes = 64 << 10
	return &Client{cfg: cfg, base: base, http: &http.Client{
		Transport: transport,
		Timeout:   cfg.Timeout,
		// Followed, it would lead the password to where somebody else says.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}, nil
}

// Close closes the connections that are idle.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// mostBody bounds an answer: a token has a few kilobytes.
const mostBody = 1 << 20

// AuthorizePush asks for a token to push to the path, and forgets it. It is an
// *Error if GitLab gives none, or one without that right.
func (c *Client) AuthorizePush(ctx context.Context, path string) error {
	at := *c.base
	at.Path = strings.TrimRight(at.Path, "/") + "/jwt/auth"
	at.RawQuery = url.Values{"service": {c.cfg.Service}, "scope": {"repository:" + path + ":push"}}.Encode()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, at.String(), nil)
	if err != nil {
		return err
	}
	req.SetBasicAuth(c.cfg.Username, c.cfg.Password)
	resp, err := c.http.Do(req)
	if err != nil {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		return &Error{Reason: withoutURL(err).Error()}
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, mostBody))
	switch {
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case err != nil:
		return &Error{Reason: "the answer was cut off"}
	case resp.StatusCode != http.StatusOK:
		return refusal(resp)
	case !grants(body, path):
		return &Error{StatusCode: resp.StatusCode, Reason: "the token it gives has no right to push to " + path + ": is the user an administrator?"}
	}
	return nil
}

func refusal(resp *http.Response) error {
	e := &Error{StatusCode: resp.StatusCode, Reason: fmt.Sprintf("%d %s", resp.StatusCode, http.StatusText(resp.StatusCode))}
	if resp.StatusCode == http.StatusUnauthorized || resp.StatusCode == http.StatusForbidden {
		e.Reason += ": check user name and password, and that the user is an administrator"
	}
	if n, err := strconv.Atoi(resp.Header.Get("Retry-After")); err == nil && n > 0 {
		e.RetryAfter = time.Duration(n) * time.Second
	}
	return e
}

// withoutURL is err without the URL it may name.
func withoutURL(err error) error {
	if wrapped := (*url.Error)(nil); errors.As(err, &wrapped) {
		return wrapped.Err
	}
	return err
}

// grants tells whether the answer holds a token with the right to push to the path.
// Its signature is the registry's to check.
func grants(body []byte, path string) bool {
	var answer struct{ Token string }
	if json.Unmarshal(body, &answer) != nil {
		return false
	}
	parts := strings.Split(answer.Token, ".")
	if len(parts) != 3 {
		return false
	}
	claims, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil {
		return false
	}
	var rights struct {
		Access []struct {
			Type, Name string
			Actions    []string
		}
	}
	if json.Unmarshal(claims, &rights) != nil {
		return false
	}
	for _, a := range rights.Access {
		if a.Type == "repository" && a.Name == path && slices.Contains(a.Actions, "push") {
			return true
		}
	}
	return false
}
