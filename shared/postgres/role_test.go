package postgres_test

import (
	"net/url"
	"testing"

	"regmend/shared/postgres/postgrestest"

	"github.com/jmoiron/sqlx"
)

// role makes a role of db's own that can log in, and returns its name. It is
// gone with the private server.
func role(t *testing.T, db *postgrestest.Database, kind string) string {
	t.Helper()
	name := kind + "_" + db.Name
	db.Exec(t, `CREATE ROLE `+name+` LOGIN`)
	return name
}

// as is the URL for another role.
func as(database, role string) string {
	u, err := url.Parse(database)
	if err != nil {
		panic(err)
	}
	u.User = url.User(role)
	return u.String()
}

func connect(t *testing.T, database string) *sqlx.DB {
	t.Helper()
	db, err := sqlx.Open("postgres", database)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	return db
}
