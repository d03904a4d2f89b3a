// Package postgrestest gives each test a database of its own on a private
// server, with GitLab's tables and, if wanted, regmend's.
package postgrestest

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"sync/atomic"
	"testing"

	"regmend/schema"
	"regmend/shared/postgres"
	"regmend/shared/servers"

	"github.com/jmoiron/sqlx"
	// The driver that tests look at their databases with.
	_ "github.com/lib/pq"
)

// The templates that databases are copied from.
const (
	gitlabTemplate  = "template_gitlab"
	regmendTemplate = "template_regmend"
)

// started is the server of this test binary: a test has no other way to what
// TestMain made.
var started struct {
	server    *servers.Postgres
	databases atomic.Int64
}

// Main runs the tests of m beside a private server, and returns the exit code:
//
//	func TestMain(m *testing.M) { os.Exit(postgrestest.Main(m)) }
func Main(m *testing.M) int {
	dir, err := os.MkdirTemp("", "postgrestest-")
	if err != nil {
		return complain(err)
	}
	defer os.RemoveAll(dir)
	if err := os.Chmod(dir, 0o755); err != nil {
		return complain(err)
	}
	ctx := context.Background()
	server, err := servers.StartPostgres(ctx, dir,
		"fsync=off", "synchronous_commit=off", "full_page_writes=off", "max_connections=200")
	if err != nil {
		return complain(err)
	}
	defer func() { _ = server.Stop() }()
	started.server = server
	if err := makeTemplates(ctx); err != nil {
		return complain(err)
	}
	return m.Run()
}

func complain(err error) int {
	fmt.Fprintln(os.Stderr, "postgrestest:", err)
	return 1
}

func makeTemplates(ctx context.Context) error {
	if err := admin(ctx, "CREATE DATABASE "+gitlabTemplate); err != nil {
		return err
	}
	if err := execute(ctx, gitlabTemplate, schema.GitLab); err != nil {
		return fmt.Errorf("make GitLab's tables: %w", err)
	}
	if err := admin(ctx, "CREATE DATABASE "+regmendTemplate+" TEMPLATE "+gitlabTemplate); err != nil {
		return err
	}
	// Migrate takes a database without projects for the wrong one.
	if err := execute(ctx, regmendTemplate, `INSERT INTO public.projects (id, namespace_id) VALUES (-1, -1)`); err != nil {
		return err
	}
	if err := migrate(ctx, regmendTemplate); err != nil {
		return err
	}
	return execute(ctx, regmendTemplate, `DELETE FROM public.projects`)
}

func migrate(ctx context.Context, database string) error {
	db, err := postgres.Open(started.server.Database(database))
	if err != nil {
		return err
	}
	defer db.Close()
	return db.Migrate(ctx, schema.Migrations, postgres.MigrateOptions{})
}

func admin(ctx context.Context, statement string) error {
	return execute(ctx, "postgres", statement)
}

func execute(ctx context.Context, database, statements string) error {
	db, err := sqlx.Open("postgres", started.server.Database(database))
	if err != nil {
		return err
	}
	defer db.Close()
	_, err = db.ExecContext(ctx, statements)
	return err
}

// Server is the test binary's server, for tests that put something before it
// or make databases of their own.
func Server() *servers.Postgres { return started.server }

// Program finds a Postgres client, which Debian keeps beside the server.
func Program(t testing.TB, name string) string {
	t.Helper()
	if path, err := exec.LookPath(name); err == nil {
		return path
	}
	found, err := filepath.Glob("/usr/lib/postgresql/*/bin/" + name)
	if err != nil || len(found) == 0 {
		t.Fatalf("%s is not installed: apt-get install postgresql-client", name)
	}
	slices.Sort(found)
	return found[len(found)-1]
}
