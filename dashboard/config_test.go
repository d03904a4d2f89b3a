package dashboard_test

import (
	"strings"
	"testing"

	"regmend/dashboard"
)

func TestListeningBeyondLoopbackNeedsALogin(t *testing.T) {
	for _, c := range []struct {
		listen string
		open   bool
	}{
		{"127.0.0.1:9780", false},
		{"127.8.9.1:9780", false},
		{"[::1]:9780", false},
		{"[::ffff:127.0.0.1]:9780", false},
		{"localhost:9780", false},
		{"LocalHost.:9780", false},
		{":9780", true},
		{"0.0.0.0:9780", true},
		{"[::]:9780", true},
		{"192.0.2.7:9780", true},
		{"[2001:db8::1]:9780", true},
		{"regmend.example.com:9780", true},
		{"localhost.example.com:9780", true},
		{"127.0.0.1.example.com:9780", true},
	} {
		t.Run(c.listen, func(t *testing.T) {
			err := dashboard.Config{Listen: c.listen}.Validate()
			if c.open != (err != nil) {
				t.Errorf("Validate() = %v, want an error: %v", err, c.open)
			}
			if err != nil && !strings.Contains(err.Error(), "REGMEND_WEB_USERNAME") {
				t.Errorf("Validate() = %q, does not say what to do", err)
			}
			withLogin := dashboard.Config{Listen: c.listen, Username: "ops", Password: "secret"}
			if err := withLogin.Validate(); err != nil {
				t.Errorf("with a login: %v", err)
			}
		})
	}
}

func TestNewRefusesWhatMustNotBeServed(t *testing.T) {
	for name, cfg := range map[string]dashboard.Config{
		"open without a login":   {Listen: "0.0.0.0:9780"},
		"user name only":         {Listen: "127.0.0.1:9780", Username: "ops"},
		"password only":          {Listen: "127.0.0.1:9780", Password: "secret"},
		"colon in the user name": {Listen: "127.0.0.1:9780", Username: "o:ps", Password: "secret"},
		"no port":                {Listen: "127.0.0.1"},
		"no address":             {},
		"not an address":         {Listen: "::1:9780"},
	} {
		t.Run(name, func(t *testing.T) {
			log, _ := quiet()
			_, err := dashboard.New(dashboard.Sources{}, log, cfg)
			if err == nil {
				t.Fatal("New() = nil error")
			}
			if text := err.Error(); strings.Contains(text, "\n") || strings.Contains(text, "secret") {
				t.Errorf("New() = %q, want one line without the password", text)
			}
		})
	}
}
