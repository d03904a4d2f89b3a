package jwtauth_test

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"regmend/shared/jwtauth"
)

const password = "the-admins-secret"

func client(t *testing.T, handler http.HandlerFunc) *jwtauth.Client {
	t.Helper()
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	c, err := jwtauth.New(jwtauth.Config{URL: server.URL + "/gitlab/", Username: "root", Password: password, Timeout: 5 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

func token(claims string) string {
	return fmt.Sprintf(`{"token":"e30.%s.c2ln"}`, base64.RawURLEncoding.EncodeToString([]byte(claims)))
}

func access(kind, name, action string) string {
	return fmt.Sprintf(`{"access":[{"type":%q,"name":%q,"actions":[%q]}]}`, kind, name, action)
}

func TestItAsksAsTheAdministratorForATokenToPush(t *testing.T) {
	c := client(t, func(w http.ResponseWriter, req *http.Request) {
		user, got, _ := req.BasicAuth()
		if want := "/gitlab/jwt/auth?scope=repository%3Ag%2Fa%3Apush&service=container_registry"; req.URL.String() != want || user != "root" || got != password {
			t.Errorf("%s as %s, want %s as root with the password", req.URL, user, want)
		}
		fmt.Fprint(w, token(access("repository", "g/a", "push")))
	})
	if err := c.AuthorizePush(t.Context(), "g/a"); err != nil {
		t.Error(err)
	}
}

func TestWhatIsNoRightToPushIsAnError(t *testing.T) {
	for name, test := range map[string]struct {
		status int
		body   string
		outage bool
	}{
		"no token":                {200, `{}`, false},
		"no JSON":                 {200, `<html>`, false},
		"no JWT":                  {200, `{"token":"abc"}`, false},
		"a token without rights":  {200, token(`{"access":[]}`), false},
		"a right to pull":         {200, token(access("repository", "g/a", "pull")), false},
		"a right to another path": {200, token(access("repository", "g/b", "push")), false},
		"another kind of right":   {200, token(access("registry", "g/a", "push")), false},
		"forbidden":               {403, ``, false},
		"unauthorized":            {401, ``, false},
		"too many":                {429, ``, true},
		"broken":                  {502, ``, true},
	} {
		t.Run(name, func(t *testing.T) {
			c := client(t, func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Retry-After", "7")
				w.WriteHeader(test.status)
				fmt.Fprint(w, test.body)
			})
			err := c.AuthorizePush(t.Context(), "g/a")
			var answer *jwtauth.Error
			if !errors.As(err, &answer) || answer.StatusCode != test.status || answer.Outage() != test.outage || answer.Refused() != (test.status == 401) {
				t.Errorf("AuthorizePush() = %v, want an error with %d, outage %v", err, test.status, test.outage)
			}
			if test.status != 200 && answer.RetryAfter != 7*time.Second {
				t.Errorf("RetryAfter = %s, want 7s", answer.RetryAfter)
			}
		})
	}
}

func TestP16_ThePasswordGoesToTheConfiguredGitLabOnlyAndIsNeverTold(t *testing.T) {
	elsewhere := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, req *http.Request) {
		t.Errorf("it asked elsewhere: %s with %q", req.URL, req.Header.Get("Authorization"))
	}))
	defer elsewhere.Close()
	c := client(t, func(w http.ResponseWriter, req *http.Request) {
		http.Redirect(w, req, elsewhere.URL+"/jwt/auth", http.StatusFound)
	})
	err := c.AuthorizePush(t.Context(), "g/a")
	if err == nil || strings.Contains(err.Error(), password) {
		t.Errorf("AuthorizePush() = %v", err)
	}
	for _, bad := range []string{"", "gitlab", "ftp://gitlab", "https://root:" + password + "@gitlab", "https://gitlab?x=" + password} {
		if _, err := jwtauth.New(jwtauth.Config{URL: bad, Username: "root", Password: password}); err == nil || strings.Contains(err.Error(), password) {
			t.Errorf("New(%q) = %v", bad, err)
		}
	}
	if _, err := jwtauth.New(jwtauth.Config{URL: "https://gitlab", Username: "root"}); err == nil {
		t.Error("New() without a password is no error")
	}
	gone := httptest.NewServer(nil)
	gone.Close()
	c, err = jwtauth.New(jwtauth.Config{URL: gone.URL, Username: "root", Password: password})
	if err != nil {
		t.Fatal(err)
	}
	var answer *jwtauth.Error
	if err := c.AuthorizePush(t.Context(), "g/a"); !errors.As(err, &answer) || !answer.Outage() || strings.Contains(err.Error(), password) || strings.Contains(err.Error(), "scope") {
		t.Errorf("AuthorizePush() of one that is away = %v", err)
	}
}

func TestItEndsWithItsContext(t *testing.T) {
	stop := errors.New("enough")
	ctx, cancel := context.WithCancelCause(t.Context())
	c := client(t, func(_ http.ResponseWriter, req *http.Request) {
		cancel(stop)
		<-req.Context().Done()
	})
	if err := c.AuthorizePush(ctx, "g/a"); !errors.Is(err, stop) {
		t.Errorf("AuthorizePush() = %v, want %v", err, stop)
	}
}
