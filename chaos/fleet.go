package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"regmend/shared/servers"
)

// fleet is regmend's processes. One that ends is started again, as a supervisor
// does.
type fleet struct {
	in *installation

	mu      sync.Mutex
	members map[string]*member
	files   int
	over    chan struct{} // closed when the fleet ends
	// expected are how many want a process to end.
	expected map[*servers.Process]int
	// astray are the ends that nobody asked for.
	astray   []string
	watchers sync.WaitGroup
}

// member is a process that has a place in the fleet, whichever runs in it.
type member struct {
	name    string
	program string
	args    []string
	listen  string // of its pages and metrics
	process *servers.Process
	log     string
}

// newFleet starts two producers, three consumers and the pages.
func (in *installation) newFleet() (*fleet, error) {
	f := &fleet{in: in, members: map[string]*member{}, over: make(chan struct{}), expected: map[*servers.Process]int{}}
	for name, args := range map[string][]string{
		"producer1": {"producer", "--interval", "1s"},
		"producer2": {"producer", "--interval", "1s"},
		"consumer1": {"consumer", "--workers", "8"},
		"consumer2": {"consumer", "--workers", "8"},
		"consumer3": {"consumer", "--workers", "8"},
		"web":       {"web"},
	} {
		port, err := servers.FreePort()
		if err != nil {
			return f, err
		}
		m := &member{name: name, program: in.program, listen: fmt.Sprint("127.0.0.1:", port)}
		flag := "--metrics-listen"
		if name == "web" {
			flag = "--listen"
		}
		m.args = append(args, flag, m.listen)
		f.members[name] = m
		if err := f.launch(m); err != nil {
			return f, err
		}
	}
	return f, nil
}

// environ is what regmend's processes are told.
func (in *installation) environ() []string {
	env := []string{"PATH=" + os.Getenv("PATH"), "GORACE=halt_on_error=1"}
	for _, side := range []map[string]string{in.database.env(), in.redis.env(), in.registry.env()} {
		for _, name := range slices.Sorted(maps.Keys(side)) {
			env = append(env, name+"="+side[name])
		}
	}
	return env
}

// launch starts the member's process and watches over it.
func (f *fleet) launch(m *member) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.ended() {
		return errors.New("the fleet has ended")
	}
	f.files++
	m.log = filepath.Join(f.in.dir, fmt.Sprintf("%04d-%s.log", f.files, m.name))
	cmd := exec.Command(m.program, m.args...)
	cmd.Dir, cmd.Env = f.in.dir, f.in.environ()
	process, err := servers.Start(cmd, m.log)
	if err != nil {
		return err
	}
	m.process = process
	f.watchers.Go(func() { f.watch(m, process) })
	return nil
}

// relaunchAfter keeps a process that ends at once from being started all the
// time.
const relaunchAfter = time.Second

// watch starts a process again that ended.
func (f *fleet) watch(m *member, p *servers.Process) {
	began := time.Now()
	<-p.Exited()
	f.mu.Lock()
	if f.expected[p] == 0 && !f.ended() {
		f.astray = append(f.astray, fmt.Sprintf("%s ended by itself with exit code %d: %s", m.name, p.ExitCode(), p.Tail()))
	}
	f.mu.Unlock()
	select {
	case <-time.After(relaunchAfter - time.Since(began)):
		_ = f.launch(m) // a fleet that ended meanwhile needs it no more
	case <-f.over:
	}
}

func (f *fleet) ended() bool {
	select {
	case <-f.over:
		return true
	default:
		return false
	}
}

// strays are the ends so far that nobody asked for.
func (f *fleet) strays() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.astray)
}

// running is the process that is in the member's place now.
func (f *fleet) running(name string) (*member, *servers.Process) {
	f.mu.Lock()
	defer f.mu.Unlock()
	m := f.members[name]
	return m, m.process
}

// expect says that the end of the member's process is meant.
func (f *fleet) expect(name string) *servers.Process {
	f.mu.Lock()
	defer f.mu.Unlock()
	p := f.members[name].process
	f.expected[p]++
	return p
}

// another tells whether somebody else wants the process to end, too.
func (f *fleet) another(p *servers.Process) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.expected[p] > 1
}

// kill ends the member's process at once. The next one starts by itself.
func (f *fleet) kill(name string) error { return f.expect(name).Kill() }

// leaveLimit is P14's.
const leaveLimit = 10 * time.Second

// terminate asks the member's process to leave, and holds it to P14.
func (f *fleet) terminate(name string) error {
	p := f.expect(name)
	if err := p.Signal(syscall.SIGTERM); err != nil {
		return err
	}
	select {
	case <-p.Exited():
	case <-time.After(leaveLimit):
		return errors.Join(damagef("%s is still there %s after SIGTERM: %s", name, leaveLimit, p.Tail()), p.Kill())
	}
	if p.Tail() == "" {
		return nil // it was told so before it could listen for it, with nothing in hand
	}
	code := p.ExitCode()
	if code != 0 && !f.another(p) && !strings.Contains(p.Tail(), "could not be stashed in Redis before the end") {
		return damagef("%s left after SIGTERM with exit code %d: %s", name, code, p.Tail())
	}
	return nil
}

// replace puts another program into the member's place.
func (f *fleet) replace(name, program string) error {
	f.mu.Lock()
	f.members[name].program = program
	f.mu.Unlock()
	return f.terminate(name)
}

// consumers are the names of the members that scan, sorted.
func (f *fleet) consumers() []string { return []string{"consumer1", "consumer2", "consumer3"} }

// end asks every process to leave, and tells of those that do not.
func (f *fleet) end() error {
	f.mu.Lock()
	close(f.over)
	members := slices.Collect(maps.Values(f.members))
	f.mu.Unlock()
	errs := make([]error, len(members))
	var leaving sync.WaitGroup
	for i, m := range members {
		if m.process == nil {
			continue
		}
		leaving.Go(func() {
			_ = m.process.Signal(syscall.SIGCONT) // one that is frozen cannot leave
			errs[i] = f.terminate(m.name)
		})
	}
	leaving.Wait()
	f.watchers.Wait()
	return errors.Join(errs...)
}

// commandLimit is how long a command of an operator may take, whatever is away.
const commandLimit = 2 * time.Minute

// regmend runs the command line to its end. The error says that it could not be
// run.
func (in *installation) regmend(ctx context.Context, args ...string) (stdout, stderr string, code int, err error) {
	ctx, cancel := context.WithTimeout(ctx, commandLimit)
	defer cancel()
	cmd := exec.CommandContext(ctx, in.program, args...)
	cmd.Dir, cmd.Env = in.dir, in.environ()
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	err = cmd.Run()
	var exit *exec.ExitError
	if errors.As(err, &exit) && ctx.Err() == nil {
		err = nil
	}
	if err != nil {
		return "", "", 0, fmt.Errorf("regmend %s: %w\n%s", strings.Join(args, " "), err, errs.Bytes())
	}
	in.said(args[0], append(out.Bytes(), errs.Bytes()...))
	return out.String(), errs.String(), cmd.ProcessState.ExitCode(), nil
}

// said keeps what a command printed, for the search for secrets.
func (in *installation) said(verb string, text []byte) {
	in.mu.Lock()
	defer in.mu.Unlock()
	in.printed = append(in.printed, verb...)
	in.printed = append(append(in.printed, '\n'), text...)
}

// persist runs a command again until it succeeds: other faults may be in its
// way.
func (in *installation) persist(ctx context.Context, args ...string) error {
	return servers.Await(ctx, "regmend "+strings.Join(args[:min(len(args), 4)], " ")+" succeeds", 2*time.Minute, func(ctx context.Context) (bool, error) {
		_, stderr, code, err := in.regmend(ctx, args...)
		if err == nil && code != 0 {
			err = fmt.Errorf("exit code %d: %s", code, stderr)
		}
		return err == nil, err
	})
}
