// Package redistest gives each test a Redis of its own.
package redistest

import (
	"testing"

	"regmend/shared/servers"

	"github.com/redis/go-redis/v9"
)

// New starts a Redis for the test and returns a client of it; both are closed
// when the test ends.
func New(t testing.TB) *redis.Client {
	t.Helper()
	return Client(t, Start(t))
}

// Start starts a Redis for the test with arguments of redis-server; it is
// stopped when the test ends.
func Start(t testing.TB, args ...string) *servers.Redis {
	t.Helper()
	r, err := servers.StartRedis(t.Context(), t.TempDir(), args...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := r.Stop(); err != nil {
			t.Error(err)
		}
	})
	return r
}

// Client returns a client of the server that is closed when the test ends.
func Client(t testing.TB, r *servers.Redis) *redis.Client {
	t.Helper()
	options, err := redis.ParseURL(r.URL)
	if err != nil {
		t.Fatal(err)
	}
	options.ContextTimeoutEnabled = true
	client := redis.NewClient(options)
	t.Cleanup(func() {
		if err := client.Close(); err != nil {
			t.Error(err)
		}
	})
	return client
}
