package servers

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"syscall"
	"time"
)

// stopLimit is how long a process may take to stop before it is killed.
const stopLimit = 10 * time.Second

// signals are what a program understands.
type signals struct {
	stop syscall.Signal // asks it to finish
	kill syscall.Signal // ends it and all it started, without finishing
}

// Process is a program that was started by this one and ends with it. Its
// methods may be called at any time, also after its end.
type Process struct {
	name    string
	log     string
	signals signals
	cmd     *exec.Cmd
	exited  chan struct{}
	err     error // of cmd.Wait, once exited is closed
}

// Start starts a program that ends with this one. What it prints is appended
// to the file log; it reads nothing. Keys pressed at the terminal, Ctrl-C
// above all, do not reach it.
func Start(cmd *exec.Cmd, log string) (*Process, error) {
	return startProcess(cmd, log, signals{stop: syscall.SIGTERM, kill: syscall.SIGKILL})
}

func startProcess(cmd *exec.Cmd, log string, signals signals) (*Process, error) {
	out, err := os.OpenFile(log, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return nil, err
	}
	defer out.Close() //nolint:errcheck // the process has its own descriptor
	cmd.Stdout, cmd.Stderr = out, out
	tie(cmd, signals.kill)
	p := &Process{
		name:    filepath.Base(cmd.Path),
		log:     log,
		signals: signals,
		cmd:     cmd,
		exited:  make(chan struct{}),
	}
	started := make(chan error)
	go p.run(started)
	return p, <-started
}

// run starts the process and waits for its end.
func (p *Process) run(started chan<- error) {
	// Linux takes the thread that forked for the parent. It must live as long
	// as the process, and does while nothing else can run on it.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	err := p.cmd.Start()
	started <- err
	if err != nil {
		return
	}
	p.err = p.cmd.Wait()
	if p.err == nil {
		p.err = errors.New("exit status 0")
	}
	close(p.exited)
}

// PID is the process's number.
func (p *Process) PID() int { return p.cmd.Process.Pid }

// Args are the words of its command line, the program first.
func (p *Process) Args() []string { return slices.Clone(p.cmd.Args) }

// Exited is closed when the process has ended.
func (p *Process) Exited() <-chan struct{} { return p.exited }

// ExitCode waits for the end of the process; it is -1 if a signal ended it.
func (p *Process) ExitCode() int {
	<-p.exited
	return p.cmd.ProcessState.ExitCode()
}

// Stop asks the process to finish and waits until it has ended. One that does
// not is killed, which is an error.
func (p *Process) Stop() error {
	if p.end(p.signals.stop) {
		return nil
	}
	return errors.Join(fmt.Errorf("%s did not stop within %v", p.name, stopLimit), p.Kill())
}

// Kill ends the process at once, as a crash would, and waits until it is gone.
func (p *Process) Kill() error {
	if p.end(p.signals.kill) || p.end(syscall.SIGKILL) {
		return nil
	}
	return fmt.Errorf("%s (process %d) cannot be killed", p.name, p.PID())
}

// Signal sends a signal; to a process that has ended it sends nothing.
func (p *Process) Signal(signal os.Signal) error {
	if err := p.cmd.Process.Signal(signal); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("signal %s: %w", p.name, err)
	}
	return nil
}

// end tells whether the process ended in time after the signal.
func (p *Process) end(signal os.Signal) bool {
	if p.Signal(signal) != nil {
		return false
	}
	select {
	case <-p.exited:
		return true
	case <-time.After(stopLimit):
		return false
	}
}

// Tail returns the last lines of what the process printed.
func (p *Process) Tail() string {
	const most = 2000
	text, err := os.ReadFile(p.log)
	if err != nil {
		return err.Error()
	}
	if len(text) > most {
		text = text[len(text)-most:]
		_, text, _ = bytes.Cut(text, []byte("\n"))
	}
	return string(text)
}
