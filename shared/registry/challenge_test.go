package registry_test

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"

	"regmend/shared/registry"
	"regmend/shared/registry/registrytest"

	"github.com/sirupsen/logrus"
)

const (
	username = "root-of-all"
	password = "correct horse battery staple"
)

func withPassword(cfg *registry.Config) { cfg.Username, cfg.Password = username, password }

func TestPasswordByChallenge(t *testing.T) {
	tests := map[string]registrytest.Auth{
		"basic":        {Username: username, Password: password},
		"token server": {Username: username, Password: password, TokenServer: true},
	}
	for name, auth := range tests {
		t.Run(name, func(t *testing.T) {
			server := registrytest.NewServer(t, registrytest.Options{Mode: registrytest.Distribution, Prefix: "/prefix", Auth: &auth})
			server.Push("g/p", "v1")
			client := newClient(t, server.URL, withPassword)
			if got, _, err := list(t, client, "g/p"); err != nil || len(got) != 1 {
				t.Fatalf("listing = %v, %v", got, err)
			}
			server.Forget()
			for range 3 { // what was right before is sent at once
				if tagged, err := client.Tagged(t.Context(), "g/p"); err != nil || !tagged {
					t.Fatalf("Tagged = %v, %v", tagged, err)
				}
			}
			if got := server.Count(); got > 5 {
				t.Errorf("%d requests for 3 answers", got)
			}
		})
	}
}

func TestATokenServerThatRefusesTellsHowLong(t *testing.T) {
	auth := registrytest.Auth{Username: username, Password: password, TokenServer: true}
	server := registrytest.NewServer(t, registrytest.Options{Mode: registrytest.Distribution, Auth: &auth})
	client := newClient(t, server.URL, withPassword)
	server.Fail(registrytest.Where{Kind: registrytest.Token}, registrytest.TooMany("7"))
	_, err := client.Tagged(t.Context(), "g/p")
	answer := failure(t, err)
	if answer.RetryAfter != 7*time.Second || answer.StatusCode != 429 || !answer.Outage() {
		t.Errorf("error = %+v, want an outage of 7 s", answer)
	}
	if strings.Contains(answer.Reason, "password") {
		t.Errorf("the reason is %q, and the password is right", answer.Reason)
	}
}

func TestRefusedTokenOfATokenServerIsRenewedOnce(t *testing.T) {
	auth := registrytest.Auth{Username: username, Password: password, TokenServer: true}
	server := registrytest.NewServer(t, registrytest.Options{Mode: registrytest.Distribution, Auth: &auth})
	server.Push("g/p", "v1")
	client := newClient(t, server.URL, withPassword)
	if _, err := client.Tagged(t.Context(), "g/p"); err != nil {
		t.Fatal(err)
	}
	server.Revoke()
	if _, err := client.Tagged(t.Context(), "g/p"); err != nil {
		t.Errorf("after the token was revoked: %v", err)
	}
	server.Fail(registrytest.Where{Kind: registrytest.Tags}, registrytest.Answer(401,
		map[string]string{"Www-Authenticate": fmt.Sprintf(`Bearer realm="%s/token",service="x"`, server.URL)}, ""))
	server.Forget()
	_, err := client.Tagged(t.Context(), "g/p")
	if !failure(t, err).Outage() || len(server.Requests(registrytest.Tags)) != 2 {
		t.Errorf("error = %v after %d requests, want an outage after 2", err, len(server.Requests(registrytest.Tags)))
	}
}

func TestWrongCredentialsAreAnOutage(t *testing.T) {
	for name, auth := range map[string]registrytest.Auth{
		"basic":        {Username: username, Password: "another"},
		"token server": {Username: username, Password: "another", TokenServer: true},
	} {
		t.Run(name, func(t *testing.T) {
			server := registrytest.NewServer(t, registrytest.Options{Mode: registrytest.Distribution, Auth: &auth})
			_, err := newClient(t, server.URL, withPassword).Probe(t.Context())
			answer := failure(t, err)
			if !answer.Outage() || answer.StatusCode != 401 || !strings.Contains(answer.Reason, "check user name and password") {
				t.Errorf("error = %v", err)
			}
			_, err = newClient(t, server.URL).Probe(t.Context())
			if !failure(t, err).Outage() {
				t.Errorf("without credentials: %v", err)
			}
		})
	}
}

func TestP16_RedirectsAreNotFollowed(t *testing.T) {
	key := newKey(t, "ES256 PKCS8")
	for name, credentials := range map[string]func(*registry.Config){"key": key.use, "password": withPassword} {
		t.Run(name, func(t *testing.T) {
			thief := newSnoop(t)
			server := registrytest.NewServer(t, registrytest.Options{})
			client := newClient(t, server.URL, credentials)
			s := survey(t, client, "g/p")
			server.Fail(registrytest.Where{}, registrytest.Redirect(thief.otherHost()+"/x?token=abc"))
			_, _, err := listIn(t, s, "g/p")
			answer := failure(t, err)
			if answer.StatusCode != 302 || !strings.Contains(answer.Reason, "localhost") || strings.Contains(answer.Reason, "abc") || len(thief.requests) > 0 {
				t.Errorf("error = %v, and %d requests to another host", err, len(thief.requests))
			}
		})
	}
}

func TestP16_NothingIsAskedOfAnotherHost(t *testing.T) {
	key := newKey(t, "ES256 PKCS8")
	for name, credentials := range map[string]func(*registry.Config){"key": key.use, "password": withPassword} {
		t.Run(name, func(t *testing.T) {
			thief := newSnoop(t)
			server := registrytest.NewServer(t, registrytest.Options{})
			client := newClient(t, server.URL, credentials)
			if err := client.Ask(thief.URL + "/v2/"); err == nil || len(thief.requests) > 0 {
				t.Errorf("error = %v, and %d requests to another host", err, len(thief.requests))
			}
		})
	}
}

func TestP16_SecretsAreInNoErrorAndNoLog(t *testing.T) {
	key := newKey(t, "RS256 PKCS8")
	for name, credentials := range map[string]func(*registry.Config){"key": key.use, "password": withPassword} {
		for _, bad := range badAnswers {
			t.Run(name+"/"+bad.name, func(t *testing.T) {
				t.Parallel()
				auth := &registrytest.Auth{Keys: key.public}
				if name == "password" {
					auth = &registrytest.Auth{Username: username, Password: password, TokenServer: true}
				}
				server := registrytest.NewServer(t, registrytest.Options{Auth: auth})
				var log bytes.Buffer
				logger := logrus.New()
				logger.Out, logger.Level = &log, logrus.TraceLevel
				client := newClient(t, server.URL, credentials, func(cfg *registry.Config) {
					cfg.Log = logger
					cfg.RequestTimeout, cfg.MaxBody = 300_000_000, 1<<20
				})
				for _, kind := range []registrytest.Kind{registrytest.Tags, registrytest.Token} {
					remove := server.Fail(registrytest.Where{Kind: kind}, bad.fault)
					_, err := client.Tagged(t.Context(), "g/p")
					remove()
					if err != nil {
						log.WriteString(err.Error())
					}
				}
				checkNoSecret(t, log.String())
				for _, req := range server.Requests() {
					if _, token, ok := strings.Cut(req.Authorization, " "); ok && strings.Contains(log.String(), token) {
						t.Errorf("%q holds a token", log.String())
					}
				}
			})
		}
	}
}

func checkNoSecret(t *testing.T, text string) {
	t.Helper()
	for _, secret := range []string{password, username, "battery", "cm9vdC1vZi1hbGw"} {
		if strings.Contains(text, secret) {
			t.Errorf("%q holds %q", text, secret)
		}
	}
}

func TestConfigFaultsAreOneLineEachWithoutSecrets(t *testing.T) {
	tests := []struct {
		name  string
		cfg   registry.Config
		lines int
	}{
		{"nothing", registry.Config{}, 1},
		{"no host", registry.Config{URL: "https:///x"}, 1},
		{"another scheme", registry.Config{URL: "ftp://battery@x"}, 1},
		{"no URL", registry.Config{URL: "https://x:battery%"}, 1},
		{"user name in the URL", registry.Config{URL: "https://root:battery@registry.example.com"}, 1},
		{"query in the URL", registry.Config{URL: "https://registry.example.com?a=battery"}, 1},
		{"half a credential", registry.Config{URL: "https://x", Username: "u"}, 1},
		{"both credentials, unknown API", registry.Config{URL: "https://x", API: "v3", Username: "u", Password: "battery", TokenKeyFile: "f"}, 3},
		{"realm, CA and key file", registry.Config{URL: "https://x", TokenRealm: "x", CAFile: "/nonexistent/ca", TokenKeyFile: "/nonexistent/key"}, 3},
		{"negative", registry.Config{URL: "https://x", RequestTimeout: -1}, 1},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			_, err := registry.New(test.cfg)
			if err == nil {
				t.Fatal("it was accepted")
			}
			if got := strings.Count(err.Error(), "\n") + 1; got != test.lines {
				t.Errorf("%d lines, want %d:\n%v", got, test.lines, err)
			}
			if strings.Contains(err.Error(), "battery") {
				t.Errorf("the error holds a password: %v", err)
			}
		})
	}
}
