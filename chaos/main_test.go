package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
)

// The harness starts its own program as the worker of plain asynq.
func TestMain(m *testing.M) {
	if len(os.Args) == 2 && os.Args[1] == plainVerb {
		main()
		return
	}
	redis.SetLogger(quiet{})
	os.Exit(m.Run())
}

// A run in small, with data races ending the processes.
func TestChaos(t *testing.T) {
	kinds := []string{
		"process/kill-scanning", "process/kill-before-flush", "redis/flushall", "redis/cut-in-script",
		"postgres/crash", "postgres/commit-reply-lost", "registry/503", "registry/suddenly-empty", "registry/collation-glibc",
		"registry/cut", "registry/null-200", "registry/500-one-path", "registry/entries-of-others", "registry/duplicates-over-pages",
		"operator/flag-flipped",
	}
	o := options{
		seed: 1, projects: 600, minutes: 1.5, kinds: strings.Join(kinds, ","),
		regmend: buildRegmend(t, "this"), older: buildRegmend(t, "another"),
	}
	var out strings.Builder
	began := time.Now()
	if err := chaos(t.Context(), o, &out); err != nil {
		t.Error(err)
	}
	t.Logf("%s:\n%s", time.Since(began).Round(time.Second), out.String())
	for _, kind := range kinds {
		if !strings.Contains(out.String(), "\n"+kind+" ") {
			t.Errorf("the table has no line for %s", kind)
		}
	}
}

func buildRegmend(t *testing.T, version string) string {
	t.Helper()
	program := filepath.Join(t.TempDir(), "regmend")
	build := exec.Command("go", "build", "-race", "-ldflags", "-X main.version="+version, "-o", program, "..")
	if said, err := build.CombinedOutput(); err != nil {
		t.Fatal(fmt.Errorf("build regmend: %w\n%s", err, said))
	}
	return program
}
