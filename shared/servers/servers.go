// Package servers runs private servers, Postgres, Redis, Sentinel, PgBouncer
// and a container registry, as processes of this one: in a folder of their
// own, on free ports of the loopback interface, and gone with this process,
// however it ends (on Linux; elsewhere a killed process leaves them behind).
//
// It is for the demo and for tests. Programs must be installed; see
// [MissingError]. Of a server, Stop, Kill and Restart are not to be called at
// the same time.
package servers

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os/exec"
	"strconv"
	"time"
)

// startLimit is how long a server may take until it answers.
const startLimit = 30 * time.Second

// program is what one kind of server needs to be started.
type program struct {
	// command returns the command anew for each start.
	command func() *exec.Cmd
	log     string
	signals signals
	// ready returns nil once the server answers and is the process pid, not
	// somebody else's on the same port.
	ready func(ctx context.Context, pid int) error
}

// server is a running program that can be started again.
type server struct {
	*Process
	program program
}

// Restart stops the server, if it still runs, and starts it again with the
// same folder and the same port.
func (s *server) Restart(ctx context.Context) error {
	if err := s.Stop(); err != nil {
		return err
	}
	return s.start(ctx)
}

// start returns once the server answers. ctx bounds the start only.
func (s *server) start(ctx context.Context) error {
	p, err := startProcess(s.program.command(), s.program.log, s.program.signals)
	if err != nil {
		return err
	}
	if err := s.program.await(ctx, p); err != nil {
		return errors.Join(fmt.Errorf("start %s: %w; the end of its log:\n%s", p.name, err, p.Tail()), p.Kill())
	}
	s.Process = p
	return nil
}

// startOnFreePort starts what program returns for a port.
func (s *server) startOnFreePort(ctx context.Context, program func(port int) (program, error)) error {
	const tries = 5
	for try := 1; ; try++ {
		port, err := FreePort()
		if err != nil {
			return err
		}
		if s.program, err = program(port); err != nil {
			return err
		}
		err = s.start(ctx)
		// Between finding the port and listening on it others can take it.
		if err == nil || try == tries || isFree(port) {
			return err
		}
	}
}

func (p program) await(ctx context.Context, process *Process) error {
	ctx, cancel := context.WithTimeout(ctx, startLimit)
	defer cancel()
	again := time.NewTicker(5 * time.Millisecond)
	defer again.Stop()
	for {
		err := p.ready(ctx, process.PID())
		if err == nil {
			return nil
		}
		select {
		case <-process.Exited():
			return process.err
		case <-ctx.Done():
			return fmt.Errorf("%w: %w", context.Cause(ctx), err)
		case <-again.C:
		}
	}
}

func loopback(port int) string {
	return net.JoinHostPort("127.0.0.1", strconv.Itoa(port))
}
