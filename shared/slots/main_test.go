package slots_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"regmend/shared/slots"

	"github.com/redis/go-redis/v9"
	"github.com/sirupsen/logrus"
	"github.com/sirupsen/logrus/hooks/test"
)

// The test binary serves as another process too: with these set it holds a slot
// until it is killed and says what becomes of it.
const (
	childRedis = "REGMEND_SLOTS_TEST_REDIS"
	childName  = "REGMEND_SLOTS_TEST_PROCESS"
)

func TestMain(m *testing.M) {
	if addr := os.Getenv(childRedis); addr != "" {
		hold(addr, os.Getenv(childName))
		return
	}
	os.Exit(m.Run())
}

func hold(addr, name string) {
	ctx := context.Background()
	go func() {
		// The test is gone when its end of the pipe is.
		_, _ = io.Copy(io.Discard, os.Stdin)
		os.Exit(1)
	}()
	rdb := client(addr)
	p := slots.NewPool(rdb, name, func() slots.Limits { return slots.Limits{Slots: 1} }, logrus.New(), quick())
	go p.Run(ctx) //nolint:errcheck // ends with the process
	slot, _, err := p.Acquire(ctx)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println("held")
	<-slot.Done()
	fmt.Println(context.Cause(slot))
}

// quick is a Config for tests: the proportions of the default one.
func quick() slots.Config {
	return slots.Config{
		Lease:    2 * time.Second,
		Poll:     10 * time.Millisecond,
		Patience: 500 * time.Millisecond,
	}
}

// patient is how long tests wait for what must happen.
const patient = 30 * time.Second

func client(addr string) *redis.Client {
	return redis.NewClient(&redis.Options{
		Addr: addr, ContextTimeoutEnabled: true, MaxRetries: -1,
		// Tests end connections; a pool that rests for a second is no help.
		DialerRetries: 1, MinIdleConns: 0,
	})
}

// process is a pool that runs.
type process struct {
	*slots.Pool
	hook *test.Hook
	stop func() // ends Run and waits for it
}

// start runs the pool of a process until the test ends.
func start(t *testing.T, rdb redis.UniversalClient, name string, limit func() int, cfg slots.Config) process {
	t.Helper()
	return startLimited(t, rdb, name, func() slots.Limits { return slots.Limits{Slots: limit()} }, cfg)
}

// startLimited is start with a rate.
func startLimited(t *testing.T, rdb redis.UniversalClient, name string, limits func() slots.Limits, cfg slots.Config) process {
	t.Helper()
	log, hook := test.NewNullLogger()
	p := slots.NewPool(rdb, name, limits, log, cfg)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- p.Run(ctx) }()
	stop := sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Run() = %v", err)
		}
	})
	t.Cleanup(stop)
	return process{Pool: p, hook: hook, stop: stop}
}

func always(limit int) func() int { return func() int { return limit } }

// slot is a slot that a test holds.
type slot struct {
	context.Context
	release func()
}

// acquire takes a slot, within the time that a test has for anything.
func acquire(t *testing.T, p process) slot {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patient)
	held, release, err := p.Acquire(ctx)
	if err != nil {
		cancel()
		t.Fatal(err)
	}
	t.Cleanup(func() { release(); cancel() })
	return slot{Context: held, release: release}
}

// request takes a slot when there is one.
func request(t *testing.T, p process) <-chan slot {
	t.Helper()
	got := make(chan slot, 1)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		held, release, err := p.Acquire(ctx)
		if err == nil {
			got <- slot{Context: held, release: release}
		}
	}()
	t.Cleanup(func() {
		cancel()
		<-done
		select {
		case s := <-got:
			s.release()
		default:
		}
	})
	return got
}

// wait waits for the slot that was requested.
func wait(t *testing.T, got <-chan slot) {
	t.Helper()
	select {
	case s := <-got:
		t.Cleanup(s.release)
	case <-time.After(patient):
		t.Fatal("no slot was granted")
	}
}

// over waits until the slot has ended and returns the cause.
func over(t *testing.T, s slot) error {
	t.Helper()
	select {
	case <-s.Done():
		return context.Cause(s)
	case <-time.After(patient):
		t.Fatal("the slot did not end")
		return nil
	}
}

// eventually waits for a condition.
func eventually(t *testing.T, what string, condition func() bool) {
	t.Helper()
	deadline := time.Now().Add(patient)
	for tick := time.NewTicker(5 * time.Millisecond); time.Now().Before(deadline); <-tick.C {
		if condition() {
			return
		}
	}
	t.Fatalf("never: %s", what)
}

func inUse(t *testing.T, rdb redis.UniversalClient) int {
	t.Helper()
	n, err := slots.InUse(context.Background(), rdb)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// other is a real process that holds a slot.
type other struct {
	cmd   *exec.Cmd
	lines *bufio.Scanner
}

// another starts a process that takes the one slot.
func another(t *testing.T, addr, name string) other {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), childRedis+"="+addr, childName+"="+name)
	cmd.Stderr = os.Stderr
	if _, err := cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	o := other{cmd: cmd, lines: bufio.NewScanner(out)}
	t.Cleanup(func() {
		_ = cmd.Process.Kill() // or the test did
		_ = cmd.Wait()
	})
	if line := o.line(t); line != "held" {
		t.Fatalf("the other process says %q", line)
	}
	return o
}

func (o other) line(t *testing.T) string {
	t.Helper()
	if !o.lines.Scan() {
		t.Fatalf("the other process says nothing: %v", o.lines.Err())
	}
	return strings.TrimSpace(o.lines.Text())
}

func (o other) signal(t *testing.T, signal syscall.Signal) {
	t.Helper()
	if err := o.cmd.Process.Signal(signal); err != nil {
		t.Error(err)
	}
}
