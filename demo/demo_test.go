package main_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"
)

func TestDemo(t *testing.T) {
	bin := t.TempDir()
	build := exec.CommandContext(t.Context(), "go", "build", "-o", bin, ".", "..")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	t.Run("finds what it lost, and puts it back", func(t *testing.T) {
		cmd, temporary := demo(t, bin, "--exit", "--projects", "150")
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Errorf("demo --exit: %v", err)
		}
		if !regexp.MustCompile(`[1-9]\d* lost, [1-9]\d* found, 0 differences`).Match(out) {
			t.Errorf("what was lost was not found:\n%s", out)
		}
		if !regexp.MustCompile(`(?s)✓ regmend repair apply: [1-9].*✓ [1-9]\d* images pulled.*✓ regmend repair undo`).Match(out) {
			t.Errorf("what was found was not put back, or not taken out again:\n%s", out)
		}
		leavesNothing(t, temporary)
	})
	for name, signal := range map[string]os.Signal{"Ctrl-C": os.Interrupt, "SIGTERM": syscall.SIGTERM} {
		for _, at := range []string{"Postgres, Redis", "web started", "regmend status"} {
			t.Run("leaves nothing after "+name+" at "+at, func(t *testing.T) {
				cmd, temporary := demo(t, bin, "--projects", "20")
				interruptAfter(t, cmd, signal, at)
				leavesNothing(t, temporary)
			})
		}
	}
}

// demo is the demo's command line. Its temporary files are in a folder that
// the test watches.
func demo(t *testing.T, bin string, args ...string) (cmd *exec.Cmd, temporary string) {
	t.Helper()
	// Not t.TempDir: Postgres, which drops root, has to get in.
	temporary, err := os.MkdirTemp("", "demo-test-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(temporary); err != nil {
			t.Error(err)
		}
	})
	if err := os.Chmod(temporary, 0o711); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	t.Cleanup(cancel)
	cmd = exec.CommandContext(ctx, filepath.Join(bin, "demo"), append(args, "--regmend", filepath.Join(bin, "regmend"))...)
	cmd.Env = append(os.Environ(), "TMPDIR="+temporary)
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = 30 * time.Second
	return cmd, temporary
}

// leavesNothing sees that neither files nor processes are left.
func leavesNothing(t *testing.T, temporary string) {
	t.Helper()
	files, err := os.ReadDir(temporary)
	if err != nil || len(files) > 0 {
		t.Errorf("left in the temporary folder: %v, %v", files, err)
	}
	processes, err := filepath.Glob("/proc/[0-9]*/environ")
	if err != nil {
		t.Fatal(err)
	}
	for _, process := range processes {
		environ, err := os.ReadFile(process)
		if err == nil && bytes.Contains(environ, []byte("TMPDIR="+temporary)) {
			t.Errorf("%s is left", process)
		}
	}
}

// interruptAfter runs the command, sends it the signal after it has printed
// the text and waits for its end.
func interruptAfter(t *testing.T, cmd *exec.Cmd, signal os.Signal, text string) {
	t.Helper()
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var seen bool
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		if !seen && strings.Contains(lines.Text(), text) {
			seen = true
			if err := cmd.Process.Signal(signal); err != nil {
				t.Fatal(err)
			}
		}
	}
	var exit *exec.ExitError
	if err := cmd.Wait(); !errors.As(err, &exit) || exit.ExitCode() != 1 {
		t.Errorf("the interrupted demo ended with %v, want exit status 1", err)
	}
	if !seen {
		t.Errorf("%q was never printed", text)
	}
}
