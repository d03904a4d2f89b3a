package postgres_test

import (
	"net/url"
	"testing"

	"regmend/shared/servers/proxy"
)

// proxied returns a proxy before the database's server, and the database's URL
// through it.
func proxied(t *testing.T, database string) (*proxy.Proxy, string) {
	t.Helper()
	u, err := url.Parse(database)
	if err != nil {
		t.Fatal(err)
	}
	p, err := proxy.Start(u.Host)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := p.Close(); err != nil {
			t.Error(err)
		}
	})
	u.Host = p.Addr()
	return p, u.String()
}
