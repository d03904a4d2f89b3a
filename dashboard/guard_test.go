package dashboard_test

import (
	"encoding/base64"
	"net/http"
	"strings"
	"testing"

	"regmend/dashboard"
)

func TestPagesAskForTheLogin(t *testing.T) {
	s := serve(t, dashboard.Config{Username: "ops", Password: "secret"})
	for _, path := range []string{"/", "/assets/overview.css", "/metrics", "/queues/", "/queues/api/queues", "/queues/static/js/x.js", "/nowhere"} {
		for name, c := range map[string]struct {
			change  func(*http.Request)
			allowed bool
		}{
			"without login":         {func(*http.Request) {}, false},
			"right login":           {login("ops", "secret"), true},
			"wrong password":        {login("ops", "secret2"), false},
			"start of password":     {login("ops", "secre"), false},
			"wrong user":            {login("root", "secret"), false},
			"user and pass swapped": {login("secret", "ops"), false},
			"empty login":           {login("", ""), false},
			"another scheme":        {with("Authorization", "Bearer secret"), false},
		} {
			t.Run(path+" "+name, func(t *testing.T) {
				got := get(t, s.url+path, c.change)
				if refused := got.status == http.StatusUnauthorized; refused == c.allowed {
					t.Errorf("status = %d, want allowed: %v", got.status, c.allowed)
				}
				if challenge := got.header.Get("WWW-Authenticate"); !c.allowed && !strings.HasPrefix(challenge, "Basic ") {
					t.Errorf("WWW-Authenticate = %q", challenge)
				}
			})
		}
	}
}

func TestProbesNeedNoLogin(t *testing.T) {
	s := serve(t, dashboard.Config{Username: "ops", Password: "secret"})
	for _, path := range []string{"/healthz", "/readyz"} {
		if got := get(t, s.url+path); got.status != http.StatusOK || got.body != "ok\n" {
			t.Errorf("%s = %d %q", path, got.status, got.body)
		}
	}
}

// A page whose name was rebound to 127.0.0.1 comes with its own name.
func TestWithoutALoginOnlyLoopbackNamesAreAnswered(t *testing.T) {
	s := serve(t, dashboard.Config{})
	for name, status := range map[string]int{
		"127.0.0.1:9780":      http.StatusOK,
		"localhost:9999":      http.StatusOK,
		"localhost":           http.StatusOK,
		"[::1]:9780":          http.StatusOK,
		"[::1]":               http.StatusOK,
		"evil.example:9780":   http.StatusMisdirectedRequest,
		"192.0.2.7:9780":      http.StatusMisdirectedRequest,
		"localhost.evil.test": http.StatusMisdirectedRequest,
	} {
		for _, path := range []string{"/", "/queues/api/queues", "/metrics"} {
			if got := get(t, s.url+path, host(name)); got.status != status {
				t.Errorf("Host %s%s: status = %d, want %d", name, path, got.status, status)
			}
		}
	}
}

func TestWithALoginAnyNameIsAnswered(t *testing.T) {
	s := serve(t, dashboard.Config{Username: "ops", Password: "secret"})
	if got := get(t, s.url+"/", host("regmend.example.com"), login("ops", "secret")); got.status != http.StatusOK {
		t.Errorf("status = %d", got.status)
	}
}

func TestRefusedLoginsAreLoggedWithoutThePassword(t *testing.T) {
	s := serve(t, dashboard.Config{Username: "ops", Password: "secret"})
	get(t, s.url+"/")
	if n := len(s.log.AllEntries()); n != 0 {
		t.Errorf("%d log entries for a browser's first request", n)
	}
	get(t, s.url+"/", login("ops", "guessed"))
	entry := s.log.LastEntry()
	if entry == nil || entry.Data["remote_addr"] == nil || entry.Data["path"] != "/" {
		t.Fatalf("log entry = %v", entry)
	}
	text, err := entry.String()
	if err != nil {
		t.Fatal(err)
	}
	mustNotContain(t, text, "guessed", "secret", base64.StdEncoding.EncodeToString([]byte("ops:guessed")))
}

func TestEveryAnswerCarriesItsPolicy(t *testing.T) {
	s := serve(t, dashboard.Config{})
	for _, path := range []string{"/", "/assets/overview.css", "/metrics", "/healthz", "/readyz", "/queues/", "/queues/api/queues", "/nowhere"} {
		for name, r := range map[string]answer{"allowed": get(t, s.url+path), "refused": get(t, s.url+path, host("evil.example"))} {
			policy := r.header.Get("Content-Security-Policy")
			for _, rule := range []string{"default-src 'none'", "frame-ancestors 'none'", "base-uri 'none'", "form-action 'none'"} {
				if !strings.Contains(policy, rule) {
					t.Errorf("%s (%s): policy %q lacks %s", path, name, policy, rule)
				}
			}
			for header, want := range map[string]string{"X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer", "X-Frame-Options": "DENY"} {
				if got := r.header.Get(header); got != want {
					t.Errorf("%s (%s): %s = %q, want %q", path, name, header, got, want)
				}
			}
		}
	}
}
