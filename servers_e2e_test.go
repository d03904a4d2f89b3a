package main_test

import (
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"regmend/schema"
	"regmend/shared/postgres/postgrestest"
	"regmend/shared/servers"

	"github.com/jmoiron/sqlx"
)

// openFolder is one that servers that are not root may live in.
func openFolder(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "regmend-e2e-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	return dir
}

// newPostgres starts a cluster for a test that needs one of its own.
func newPostgres(t *testing.T) *servers.Postgres {
	t.Helper()
	server, err := servers.StartPostgres(t.Context(), openFolder(t), "fsync=off", "synchronous_commit=off")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := server.Stop(); err != nil {
			t.Error(err)
		}
	})
	return server
}

// newPgBouncer starts one before the tests' Postgres, as Omnibus has it.
func newPgBouncer(t *testing.T) *servers.PgBouncer {
	t.Helper()
	bouncer, err := servers.StartPgBouncer(t.Context(), openFolder(t), postgrestest.Server())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := bouncer.Stop(); err != nil {
			t.Error(err)
		}
	})
	return bouncer
}

// gitlabOn makes GitLab's tables in a cluster's database postgres.
func gitlabOn(t *testing.T, server *servers.Postgres) *postgrestest.Database {
	t.Helper()
	db := &postgrestest.Database{Name: "postgres", URL: server.URL, SQL: sqlx.MustOpen("postgres", server.URL)}
	t.Cleanup(func() { _ = db.SQL.Close() })
	db.Exec(t, schema.GitLab)
	return db
}

// role makes a role of this installation's, and returns its name.
func (in *installation) role(purpose string) string {
	name := in.Name + "_" + purpose
	in.Exec(in.t, "CREATE ROLE "+name+" LOGIN")
	return name
}

// as is the URL with another user, and nothing of regmend's in it.
func as(address, role string) string {
	u, err := url.Parse(address)
	if err != nil {
		panic(err)
	}
	u.User = url.User(role)
	return u.String()
}

// grant runs the script of schema/roles for the role, as an operator does.
func (in *installation) grant(script, role string) {
	in.t.Helper()
	in.postgres("psql", "--no-psqlrc", "--quiet", "--set=role="+role, "--file="+filepath.Join("schema", "roles", script+".sql"), in.URL)
}

var digits = regexp.MustCompile(`\d+`)

// postgres runs one of its client programs, which Debian keeps beside the server.
func (in *installation) postgres(program string, args ...string) string {
	in.t.Helper()
	path, err := exec.LookPath(program)
	if err != nil {
		found, _ := filepath.Glob("/usr/lib/postgresql/*/bin/" + program)
		if len(found) == 0 {
			in.t.Fatalf("%s is not installed: apt-get install postgresql-client", program)
		}
		path = slices.MaxFunc(found, func(a, b string) int {
			return strings.Compare(padded(a), padded(b))
		})
	}
	out, err := exec.CommandContext(in.t.Context(), path, args...).CombinedOutput()
	if err != nil {
		in.t.Fatalf("%s: %v\n%s", program, err, out)
	}
	return string(out)
}

// padded makes numbers compare by value.
func padded(s string) string {
	return digits.ReplaceAllStringFunc(s, func(n string) string { return strings.Repeat("0", max(0, 4-len(n))) + n })
}
