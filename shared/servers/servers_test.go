package servers_test

import (
	"context"
	"database/sql"
	"errors"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"regmend/shared/servers"
	"regmend/shared/servers/redistest"

	_ "github.com/lib/pq"
	"github.com/redis/go-redis/v9"
)

// folder is like t.TempDir, which users other than root cannot enter.
func folder(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "servers")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	return dir
}

// stopped stops the server at the end of the test and sees that it is gone.
func stopped(t *testing.T, address string, stop func() error) {
	t.Cleanup(func() {
		if err := stop(); err != nil {
			t.Error(err)
		}
		if conn, err := net.Dial("tcp", address); err == nil {
			t.Errorf("%s still answers after Stop", address)
			conn.Close()
		}
	})
}

func startPostgres(t *testing.T) *servers.Postgres {
	t.Helper()
	p, err := servers.StartPostgres(t.Context(), folder(t), "fsync=off")
	if err != nil {
		t.Fatal(err)
	}
	stopped(t, hostPort(p.Port), func() error { return p.Stop() })
	return p
}

func query(t *testing.T, url, statement string) string {
	t.Helper()
	db, err := sql.Open("postgres", url)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	var answer string
	if err := db.QueryRowContext(t.Context(), statement).Scan(&answer); err != nil {
		t.Fatalf("%s: %v", statement, err)
	}
	return answer
}

func TestPostgres(t *testing.T) {
	p := startPostgres(t)
	if got := query(t, p.URL, "SELECT current_user || current_database() || current_setting('fsync')"); got != "postgrespostgresoff" {
		t.Errorf("user, database, fsync = %s", got)
	}
	t.Run("keeps port and data over a crash and a restart", func(t *testing.T) {
		exec(t, p.URL, "CREATE TABLE kept AS SELECT 'here'::text AS what")
		url := p.URL
		if err := p.Kill(); err != nil {
			t.Fatal(err)
		}
		if err := p.Restart(t.Context()); err != nil {
			t.Fatal(err)
		}
		if got := query(t, url, "SELECT what FROM kept"); got != "here" {
			t.Errorf("kept = %q", got)
		}
	})
}

func exec(t *testing.T, url, statement string) {
	t.Helper()
	db, err := sql.Open("postgres", url)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if _, err := db.ExecContext(t.Context(), statement); err != nil {
		t.Fatalf("%s: %v", statement, err)
	}
}

func TestPostgresThatCannotStartShowsItsLog(t *testing.T) {
	_, err := servers.StartPostgres(t.Context(), folder(t), "no_such_setting=1")
	if err == nil || !strings.Contains(err.Error(), "no_such_setting") {
		t.Errorf("StartPostgres() = %v, want what the log says of no_such_setting", err)
	}
}

func TestPostgresInAClosedFolder(t *testing.T) {
	if os.Geteuid() != 0 {
		return // the folder is open to ourselves
	}
	closed := filepath.Join(folder(t), "postgres")
	if err := os.Mkdir(closed, 0o700); err != nil {
		t.Fatal(err)
	}
	_, err := servers.StartPostgres(t.Context(), closed)
	if err == nil || !strings.Contains(err.Error(), "must be open to the user") {
		t.Errorf("StartPostgres() = %v, want that the folder above must be open", err)
	}
}

func TestPgBouncer(t *testing.T) {
	p := startPostgres(t)
	b, err := servers.StartPgBouncer(t.Context(), folder(t), p)
	if err != nil {
		t.Fatal(err)
	}
	stopped(t, hostPort(b.Port), func() error { return b.Stop() })
	exec(t, p.URL, "CREATE ROLE runtime LOGIN")
	exec(t, p.URL, "CREATE DATABASE other")
	if got := query(t, b.Database("other"), "SELECT current_database()"); got != "other" {
		t.Errorf("database = %s", got)
	}
	other := strings.Replace(b.Database("other"), "postgres@", "runtime@", 1)
	if got := query(t, other, "SELECT current_user"); got != "runtime" {
		t.Errorf("user = %s", got)
	}
}

func TestRedis(t *testing.T) {
	r := redistest.Start(t, "--appendonly", "yes", "--appendfsync", "always")
	stopped(t, r.Addr, func() error { return r.Stop() })
	client := redistest.Client(t, r)
	if err := client.Set(t.Context(), "kept", "here", 0).Err(); err != nil {
		t.Fatal(err)
	}
	if err := r.Kill(); err != nil {
		t.Fatal(err)
	}
	if err := r.Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got, err := client.Get(t.Context(), "kept").Result(); got != "here" {
		t.Errorf("kept = %q, %v", got, err)
	}
}

func TestRedisWithAPassword(t *testing.T) {
	r := redistest.Start(t, "--requirepass", "secret")
	client := redis.NewClient(&redis.Options{Addr: r.Addr, Password: "secret"})
	defer client.Close()
	if err := client.Ping(t.Context()).Err(); err != nil {
		t.Error(err)
	}
}

func TestSentinel(t *testing.T) {
	r := redistest.Start(t)
	s, err := servers.StartSentinel(t.Context(), folder(t), r.Addr, "main", "requirepass secret")
	if err != nil {
		t.Fatal(err)
	}
	stopped(t, s.Addr, func() error { return s.Stop() })
	client := redis.NewFailoverClient(&redis.FailoverOptions{
		MasterName: "main", SentinelAddrs: []string{s.Addr}, SentinelPassword: "secret",
	})
	defer client.Close()
	if err := client.Ping(t.Context()).Err(); err != nil {
		t.Error(err)
	}
}

func TestRegistry(t *testing.T) {
	r, err := servers.StartRegistry(t.Context(), folder(t), "REGISTRY_CATALOG_MAXENTRIES=5")
	if err != nil {
		t.Fatal(err)
	}
	stopped(t, r.Addr, func() error { return r.Stop() })
	for path, want := range map[string]int{
		"/v2/":             http.StatusOK,
		"/v2/_catalog?n=5": http.StatusOK,
		"/v2/_catalog?n=6": http.StatusBadRequest,
	} {
		resp, err := http.Get(r.URL + path)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != want {
			t.Errorf("GET %s = %d, want %d", path, resp.StatusCode, want)
		}
	}
}

func TestMissingProgram(t *testing.T) {
	t.Setenv("PATH", "")
	_, err := servers.StartRedis(t.Context(), folder(t))
	var missing *servers.MissingError
	if !errors.As(err, &missing) || missing.Package != "redis-server" {
		t.Errorf("StartRedis() = %v, want the missing package redis-server", err)
	}
}

func TestStartEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := servers.StartRedis(ctx, folder(t)); !errors.Is(err, context.Canceled) {
		t.Errorf("StartRedis() = %v, want %v", err, context.Canceled)
	}
}

func hostPort(port int) string {
	return net.JoinHostPort("127.0.0.1", strconv.Itoa(port))
}
