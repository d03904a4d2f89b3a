package main_test

import (
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
)

// The program as the Makefile builds it.
func TestTheProgram(t *testing.T) {
	program := filepath.Join(t.TempDir(), "regmend")
	build := exec.CommandContext(t.Context(), "go", "build", "-ldflags", "-X main.version=v9.8.7", "-o", program, ".")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}

	t.Run("the linker sets its version", func(t *testing.T) {
		out, err := exec.CommandContext(t.Context(), program, "--version").Output()
		if err != nil || string(out) != "regmend v9.8.7\n" {
			t.Errorf("--version = %q, %v, want regmend v9.8.7", out, err)
		}
	})

	t.Run("P14: SIGTERM ends it with exit code 0", func(t *testing.T) {
		c := exec.CommandContext(t.Context(), program, "consumer", "--database-url", "postgres://127.0.0.1:1/none",
			"--redis-url", "redis://127.0.0.1:1", "--registry-url", "http://127.0.0.1:1")
		stderr, err := c.StderrPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := c.Start(); err != nil {
			t.Fatal(err)
		}
		// By the time it says that it waits for Postgres, it listens to signals.
		if _, err := stderr.Read(make([]byte, 1)); err != nil {
			t.Fatal(err)
		}
		if err := c.Process.Signal(syscall.SIGTERM); err != nil {
			t.Fatal(err)
		}
		if err := c.Wait(); err != nil {
			t.Errorf("after SIGTERM: %v, want exit code 0", err)
		}
	})
}
