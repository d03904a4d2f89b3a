package main_test

import (
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"regmend/shared/postgres/postgrestest"
)

// The tests of *_e2e_test.go run the program itself, as separate processes on
// real Postgres, Redis, Sentinel and PgBouncer, against a registry's double that
// speaks HTTP and asks for signed tokens. An oracle tells what must come out.

// binary is the program under test: a test has no other way to what TestMain
// built.
var binary string

func TestMain(m *testing.M) { os.Exit(withBinary(m)) }

// withBinary builds the program, so that data races in it end it, and runs the
// tests beside a private Postgres.
func withBinary(m *testing.M) int {
	dir, err := os.MkdirTemp("", "regmend-e2e-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	binary = filepath.Join(dir, "regmend")
	build := exec.Command("go", "build", "-race", "-o", binary, ".")
	build.Stdout, build.Stderr = os.Stderr, os.Stderr
	if err := build.Run(); err != nil {
		fmt.Fprintln(os.Stderr, "build regmend:", err)
		return 1
	}
	// The tests wait more than they work. -parallel on the command line wins.
	if err := flag.Set("test.parallel", "4"); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return postgrestest.Main(m)
}
