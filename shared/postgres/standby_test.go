package postgres_test

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"regmend/schema"
	"regmend/shared/postgres"
	"regmend/shared/postgres/postgrestest"
	"regmend/shared/servers"
)

func TestP17_AStandbyIsToldApart(t *testing.T) {
	standby := startStandby(t)
	db := postgrestest.Open(t, standby.Database("postgres"))
	if err := db.Migrate(t.Context(), schema.Migrations, postgres.MigrateOptions{}); !errors.Is(err, postgres.ErrStandby) {
		t.Errorf("Migrate() on a standby = %v, want ErrStandby", err)
	}
}

// startStandby starts a server that recovers without end.
func startStandby(t *testing.T) *servers.Postgres {
	t.Helper()
	dir, err := os.MkdirTemp("", "standby-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	server, err := servers.StartPostgres(t.Context(), dir, "fsync=off")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = server.Stop() })
	prepareStandby(t, server)
	if err := server.Stop(); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "data", "standby.signal"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := server.Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
	return server
}

// prepareStandby fills the database postgres while it can be written.
func prepareStandby(t *testing.T, server *servers.Postgres) {
	t.Helper()
	db := &postgrestest.Database{SQL: connect(t, server.URL)}
	db.Exec(t, schema.GitLab)
	db.Project(t, "g/app")
	migrate(t, postgrestest.Open(t, server.URL), postgres.MigrateOptions{})
}
