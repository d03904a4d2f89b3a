package schema_test

import (
	"flag"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"

	"regmend/shared/postgres/postgrestest"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write structure.sql anew")

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
	out, err := exec.CommandContext(t.Context(), postgrestest.Program(t, name), args...).CombinedOutput()
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

// TestStructure holds structure.sql, which shows readers what the migrations and
// the foreign key to projects make, against a migrated database. After a new
// migration: go test ./schema -run TestStructure -update
func TestStructure(t *testing.T) {
	got := structure(t, postgrestest.New(t).URL)
	if *update {
		if err := os.WriteFile("structure.sql", []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile("structure.sql")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("structure.sql is not what the migrations make; make schema-dump (-file +database):\n%s", diff)
	}
}
