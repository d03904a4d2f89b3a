package schema_test

import (
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"regmend/schema"
	"regmend/shared/postgres/postgrestest"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write structure.sql anew")

// program finds a Postgres client, which Debian keeps beside the server.
func program(t *testing.T, name string) string {
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

// run returns what the program writes, and fails the test if it fails.
func run(t *testing.T, name string, args ...string) string {
	t.Helper()
	out, err := tryRun(t, name, args...)
	if err != nil {
		t.Fatalf("%s: %v\n%s", name, err, out)
	}
	return out
}

func tryRun(t *testing.T, name string, args ...string) (string, error) {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), program(t, name), args...).CombinedOutput()
	return string(out), err
}

// volatile are lines that differ between versions of pg_dump or between two
// dumps of the same tables.
var volatile = regexp.MustCompile(`(?m)^(\\(un)?restrict .*|-- Dumped (from|by) .*|SET .*|SELECT pg_catalog\.set_config.*)\n`)

var blank = regexp.MustCompile(`\n{3,}`)

func structure(t *testing.T, url string) string {
	t.Helper()
	dump := run(t, "pg_dump", "--schema-only", "--schema=regmend", "--no-owner", "--no-privileges", url)
	dump = blank.ReplaceAllString(volatile.ReplaceAllString(dump, ""), "\n\n")
	return strings.TrimSpace(dump) + "\n"
}

// TestStructure holds structure.sql against a migrated database. After a new
// migration: go test ./schema -run TestStructure -update
func TestStructure(t *testing.T) {
	got := structure(t, postgrestest.New(t).URL)
	if *update {
		if err := os.WriteFile("structure.sql", []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if diff := cmp.Diff(schema.Structure, got); diff != "" {
		t.Errorf("structure.sql is not what the migrations make; make schema-dump (-file +database):\n%s", diff)
	}
}
