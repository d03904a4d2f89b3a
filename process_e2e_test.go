package main_test

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"regmend/shared/servers"
)

// process is a running regmend.
type process struct {
	*servers.Process
	name string
	log  string // the file with what it prints
}

// printed is what the process has printed so far.
func (p *process) printed() string {
	text, err := os.ReadFile(p.log)
	if err != nil {
		return err.Error()
	}
	return string(text)
}

func (in *installation) command(args ...string) *exec.Cmd {
	cmd := exec.Command(binary, args...)
	cmd.Dir = in.dir
	for name, value := range in.env {
		cmd.Env = append(cmd.Env, name+"="+value)
	}
	return cmd
}

// output is a new file for what a process prints.
func (in *installation) output(verb string) string {
	in.files++
	return filepath.Join(in.dir, fmt.Sprintf("%03d-%s.log", in.files, verb))
}

// start starts regmend with a verb that runs until it is stopped.
func (in *installation) start(verb string, args ...string) *process {
	in.t.Helper()
	log := in.output(verb)
	started, err := servers.Start(in.command(append([]string{verb}, args...)...), log)
	if err != nil {
		in.t.Fatal(err)
	}
	p := &process{Process: started, name: filepath.Base(log), log: log}
	in.running = append(in.running, p)
	return p
}

// run runs regmend to its end, which must be a good one, and returns what it
// printed to standard output.
func (in *installation) run(args ...string) string {
	in.t.Helper()
	stdout, stderr, code := in.try(args...)
	if code != 0 {
		in.t.Fatalf("regmend %s: exit code %d\n%s%s", strings.Join(args, " "), code, stdout, stderr)
	}
	return stdout
}

// try runs regmend to its end.
func (in *installation) try(args ...string) (stdout, stderr string, code int) {
	in.t.Helper()
	var out, errs bytes.Buffer
	cmd := in.command(args...)
	cmd.Stdout, cmd.Stderr = &out, &errs
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		in.t.Fatal(err)
	}
	both := slices.Concat(out.Bytes(), errs.Bytes())
	if err := os.WriteFile(in.output(args[0]), both, 0o600); err != nil {
		in.t.Fatal(err)
	}
	return out.String(), errs.String(), cmd.ProcessState.ExitCode()
}

// kill ends a process as a crash would.
func (in *installation) kill(p *process) {
	in.t.Helper()
	if err := p.Kill(); err != nil {
		in.t.Fatal(err)
	}
	in.forget(p)
}

func (in *installation) forget(p *process) {
	in.running = slices.DeleteFunc(in.running, func(other *process) bool { return other == p })
}

// leave asks processes to stop, and holds them to P14: they are gone within ten
// seconds, with exit code 0.
func (in *installation) leave(processes ...*process) {
	in.t.Helper()
	began := time.Now()
	for _, p := range processes {
		if err := p.Signal(syscall.SIGTERM); err != nil {
			in.t.Error(err)
		}
	}
	late := time.NewTimer(10 * time.Second)
	defer late.Stop()
	for _, p := range processes {
		select {
		case <-p.Exited():
		case <-late.C:
			late.Reset(0)
			in.t.Errorf("%s is still there 10 s after SIGTERM:\n%s", p.name, p.Tail())
			_ = p.Kill() // which is the test's failure already
		}
		if code := p.ExitCode(); code != 0 {
			in.t.Errorf("%s: exit code %d, want 0:\n%s", p.name, code, p.Tail())
		}
		in.forget(p)
	}
	in.t.Logf("%d processes left within %s", len(processes), time.Since(began).Round(time.Millisecond))
}

// leaveAll stops everything that runs.
func (in *installation) leaveAll() {
	in.t.Helper()
	in.leave(slices.Clone(in.running)...)
}

// end stops what runs and looks at what all processes printed.
func (in *installation) end() {
	in.leaveAll()
	files, err := filepath.Glob(filepath.Join(in.dir, "*.log"))
	if err != nil {
		in.t.Fatal(err)
	}
	texts := map[string]string{}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			in.t.Fatal(err)
		}
		name := filepath.Base(file)
		texts[name] = string(text)
		for _, bad := range []string{"DATA RACE", "panic:", "goroutine "} {
			if strings.Contains(texts[name], bad) {
				in.t.Errorf("%s has %q:\n%s", name, bad, text)
			}
		}
	}
	in.checkSecrets(texts)
	if in.t.Failed() {
		in.show(texts)
	}
}

// show logs the end of what was printed, in the order of the processes' start.
func (in *installation) show(texts map[string]string) {
	for _, name := range slices.Sorted(maps.Keys(texts)) {
		if !strings.HasSuffix(name, "-status.log") {
			in.t.Logf("the end of %s:\n%s", name, last(texts[name], 3000))
		}
	}
}

func last(text string, most int) string { return text[max(0, len(text)-most):] }
