package registry_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"regmend/shared/registry"
	"regmend/shared/registry/registrytest"
)

// snoop is a host that wants credentials and remembers what it got.
type snoop struct {
	*httptest.Server
	requests []*http.Request
}

func newSnoop(t *testing.T) *snoop {
	s := &snoop{}
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		s.requests = append(s.requests, req)
		fmt.Fprint(w, `{"token":"stolen"}`)
	}))
	t.Cleanup(s.Close)
	return s
}

// otherHost is the server's URL under another name of this machine.
func (s *snoop) otherHost() string { return strings.Replace(s.URL, "127.0.0.1", "localhost", 1) }

func TestP16_PasswordGoesToNoOtherHost(t *testing.T) {
	tests := []struct {
		name  string
		realm func(server, thief string) string
		trust func(server, thief string) string
	}{
		{"a realm in plain text on another host", func(_, thief string) string { return thief + "/token" }, nil},
		{"another realm than the configured one", func(_, thief string) string { return thief + "/token" }, func(server, _ string) string { return server }},
		{"another realm than the configured one, https", func(_, thief string) string { return strings.Replace(thief, "http:", "https:", 1) }, func(server, _ string) string { return server }},
		{"a realm that redirects", func(server, thief string) string { return server + "/v2/away?to=" + url.QueryEscape(thief) }, nil},
		{"a realm with a user name", func(server, _ string) string { return strings.Replace(server, "//", "//x:y@", 1) + "/token" }, nil},
		{"no realm", func(string, string) string { return "" }, nil},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			thief := newSnoop(t)
			auth := registrytest.Auth{Username: username, Password: password, TokenServer: true}
			server := registrytest.NewServer(t, registrytest.Options{Mode: registrytest.Distribution, Auth: &auth})
			server.Fail(registrytest.Where{Kind: registrytest.Ping}, registrytest.Answer(401,
				map[string]string{"Www-Authenticate": fmt.Sprintf(`Bearer realm="%s",service="x"`, test.realm(server.URL, thief.otherHost()))}, ""))
			server.Fail(registrytest.Where{Kind: registrytest.Other}, registrytest.Redirect(thief.otherHost()))
			_, err := newClient(t, server.URL, withPassword, func(cfg *registry.Config) {
				if test.trust != nil {
					cfg.TokenRealm = test.trust(server.URL, thief.otherHost())
				}
			}).Probe(t.Context())
			if !failure(t, err).Outage() || len(thief.requests) > 0 {
				t.Errorf("error = %v, and %d requests to another host", err, len(thief.requests))
			}
			checkNoSecret(t, err.Error())
		})
	}
}

func TestP16_ConfiguredRealmMayBeAnotherHost(t *testing.T) {
	auth := registrytest.Auth{Username: username, Password: password, TokenServer: true}
	server := registrytest.NewServer(t, registrytest.Options{Mode: registrytest.Distribution, Auth: &auth})
	realm := strings.Replace(server.URL, "127.0.0.1", "localhost", 1)
	server.Push("g/p", "v1")
	server.Fail(registrytest.Where{Kind: registrytest.Ping, Times: 1}, registrytest.Answer(401,
		map[string]string{"Www-Authenticate": fmt.Sprintf(`Bearer realm="%s/token",service="x"`, realm)}, ""))
	client := newClient(t, server.URL, withPassword, func(cfg *registry.Config) { cfg.TokenRealm = realm })
	if _, err := client.Probe(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestP16_FirstRealmIsTheOnlyOne(t *testing.T) {
	thief := newSnoop(t)
	auth := registrytest.Auth{Username: username, Password: password, TokenServer: true}
	server := registrytest.NewServer(t, registrytest.Options{Mode: registrytest.Distribution, Auth: &auth})
	client := newClient(t, server.URL, withPassword)
	if _, err := client.Probe(t.Context()); err != nil {
		t.Fatal(err)
	}
	// The same host name, so that it would have been right at first.
	server.Fail(registrytest.Where{Kind: registrytest.Tags}, registrytest.Answer(401,
		map[string]string{"Www-Authenticate": fmt.Sprintf(`Bearer realm="%s/token",service="x"`, thief.URL)}, ""))
	_, err := client.Tagged(t.Context(), "g/p")
	if !failure(t, err).Outage() || len(thief.requests) > 0 {
		t.Errorf("error = %v, and %d requests to another host", err, len(thief.requests))
	}
}

// TestP16_AnHTTPSRealmIsLearnedOnce has a token server on another host, which the
// first challenge names, and a second one, which a later challenge names.
func TestP16_AnHTTPSRealmIsLearnedOnce(t *testing.T) {
	auth := registrytest.Auth{Username: username, Password: password, TokenServer: true}
	server := registrytest.NewServer(t, registrytest.Options{Mode: registrytest.Distribution, Auth: &auth})
	server.Push("g/p", "v1")
	tokens := httptest.NewTLSServer(server.Registry)
	t.Cleanup(tokens.Close)
	thief := newSnoop(t)
	thief.URL = strings.Replace(thief.URL, "http:", "https:", 1)
	challenge := func(realm string) registrytest.Fault {
		return registrytest.Answer(401, map[string]string{"Www-Authenticate": fmt.Sprintf(`Bearer realm="%s/token",service="x"`, realm)}, "")
	}
	server.Fail(registrytest.Where{Kind: registrytest.Tags, Times: 1}, challenge(tokens.URL))
	origin := strings.Replace(server.URL, "127.0.0.1", "localhost", 1)
	client := newClient(t, origin, withPassword, trusting(t, tokens))
	if tagged, err := client.Tagged(t.Context(), "g/p"); err != nil || !tagged {
		t.Fatalf("Tagged = %v, %v", tagged, err)
	}
	server.Fail(registrytest.Where{Kind: registrytest.Tags}, challenge(thief.URL))
	_, err := client.Tagged(t.Context(), "g/p")
	if !failure(t, err).Outage() || !strings.Contains(err.Error(), "no credentials were sent") || len(thief.requests) > 0 {
		t.Errorf("error = %v, and %d requests to another host", err, len(thief.requests))
	}
}
