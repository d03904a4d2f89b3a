package claims_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"regmend/shared/claims"
	"regmend/shared/servers/redistest"

	"github.com/redis/go-redis/v9"
	"github.com/sirupsen/logrus"
	"github.com/sirupsen/logrus/hooks/test"
)

// With this set the test binary is another process, which claims the batch and
// works on it until it is killed.
const childRedis = "REGMEND_CLAIMS_TEST_REDIS"

func TestMain(m *testing.M) {
	if addr := os.Getenv(childRedis); addr != "" {
		work(addr)
		return
	}
	os.Exit(m.Run())
}

func work(addr string) {
	ctx := context.Background()
	rdb := redis.NewClient(&redis.Options{Addr: addr, ContextTimeoutEnabled: true})
	c := claims.New(rdb, "doomed", logrus.New(), quick())
	go c.Run(ctx, nil, nil) //nolint:errcheck // ends with the process
	if _, _, err := c.Claim(ctx, batch(1)); err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println("claimed")
	// The test is gone when its end of the pipe is.
	_, _ = io.Copy(io.Discard, os.Stdin)
}

// doomed starts a process that has claimed batch(1).
func doomed(t *testing.T, addr string) *exec.Cmd {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), childRedis+"="+addr)
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
	t.Cleanup(func() {
		_ = cmd.Process.Kill() // or the test did
		_ = cmd.Wait()
	})
	lines := bufio.NewScanner(out)
	if !lines.Scan() || lines.Text() != "claimed" {
		t.Fatalf("the other process says %q, %v", lines.Text(), lines.Err())
	}
	return cmd
}

// quick is a Config for tests: the proportions of the default one.
func quick() claims.Config {
	return claims.Config{Lease: 1500 * time.Millisecond, Look: 500 * time.Millisecond}
}

// patient is how long tests wait for what must happen.
const patient = 30 * time.Second

// batch is the batch of most tests.
func batch(generation int) claims.Work {
	return claims.Work{Name: "run3-lap1-7", Generation: generation, Payload: []byte(`{"run":3,"ids":[7],"after":0}`)}
}

// process is a process of its own, with its own way to Redis.
type process struct {
	*claims.Claims
	line *line
	// requeued are the batches handed to it to put back.
	requeued chan claims.Work
	// ended are the tasks that were there and are over, as "name.generation".
	ended sync.Map
	// active are the tasks that its queue believes to be running.
	active atomic.Pointer[[]claims.Work]
	run    func() // starts Run
	stop   func() // ends Run and waits for it
	log    *test.Hook
}

// newProcess makes a process that does not run yet.
func newProcess(t *testing.T, rdb *redis.Client, name string) *process {
	t.Helper()
	p := &process{line: &line{}, requeued: make(chan claims.Work, 1000)}
	own := redis.NewClient(&redis.Options{Addr: rdb.Options().Addr, ContextTimeoutEnabled: true})
	own.AddHook(p.line)
	log, hook := test.NewNullLogger()
	p.log = hook
	p.Claims = claims.New(own, name, log, quick())
	p.active.Store(&[]claims.Work{})
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	p.run = func() {
		running.Go(func() {
			if err := p.Run(ctx, p.requeue, p.list); err != nil {
				t.Errorf("Run() = %v", err)
			}
		})
	}
	p.stop = func() { cancel(); running.Wait() }
	t.Cleanup(func() {
		p.stop()
		if err := own.Close(); err != nil {
			t.Error(err)
		}
	})
	return p
}

func (p *process) requeue(_ context.Context, w claims.Work) (enqueued, ended bool, err error) {
	p.requeued <- w
	_, ended = p.ended.Load(fmt.Sprintf("%s.%d", w.Name, w.Generation))
	return !ended, ended, nil
}

func (p *process) list(context.Context) ([]claims.Work, error) { return *p.active.Load(), nil }

// start makes a process that runs.
func start(t *testing.T, rdb *redis.Client, name string) *process {
	t.Helper()
	p := newProcess(t, rdb, name)
	p.run()
	return p
}

// claim claims a batch that must be granted.
func (p *process) claim(t *testing.T, w claims.Work) (runs int) {
	t.Helper()
	outcome, runs, err := p.Claim(context.Background(), w)
	if err != nil || outcome != claims.Granted {
		t.Fatalf("Claim(%s.%d) = %v, %v, want it granted", w.Name, w.Generation, outcome, err)
	}
	return runs
}

func (p *process) refused(t *testing.T, w claims.Work, want claims.Outcome) {
	t.Helper()
	if outcome, _, err := p.Claim(context.Background(), w); err != nil || outcome != want {
		t.Errorf("Claim(%s.%d) = %v, %v, want %v", w.Name, w.Generation, outcome, err, want)
	}
}

func (p *process) release(t *testing.T, w claims.Work) {
	t.Helper()
	if err := p.Release(context.Background(), w); err != nil {
		t.Fatal(err)
	}
}

// back waits for the next batch that one of the processes is to put back.
func back(t *testing.T, processes ...*process) claims.Work {
	t.Helper()
	deadline := time.Now().Add(patient)
	for tick := time.NewTicker(5 * time.Millisecond); time.Now().Before(deadline); <-tick.C {
		for _, p := range processes {
			select {
			case w := <-p.requeued:
				return w
			default:
			}
		}
	}
	t.Fatal("no batch was put back")
	return claims.Work{}
}

// quiet checks that no batch is put back for some time.
func quiet(t *testing.T, span time.Duration, processes ...*process) {
	t.Helper()
	<-time.After(span)
	for _, p := range processes {
		select {
		case w := <-p.requeued:
			t.Errorf("%s.%d was put back", w.Name, w.Generation)
		default:
		}
	}
}

// lost waits until the guarded context ends and checks why.
func lost(t *testing.T, ctx context.Context) { //nolint:revive // t comes first in a test
	t.Helper()
	select {
	case <-ctx.Done():
	case <-time.After(patient):
		t.Fatal("the claim's loss was not noticed")
	}
	if cause := context.Cause(ctx); !errors.Is(cause, claims.ErrClaimLost) {
		t.Errorf("cause = %v, want ErrClaimLost", cause)
	}
}

var errDown = errors.New("the line is down")

// line is a process's way to Redis, which can be cut before or behind Redis.
type line struct {
	down    atomic.Bool // requests do not get there
	replies atomic.Bool // they do, but their replies do not come back
}

func (l *line) DialHook(next redis.DialHook) redis.DialHook { return next }

func (l *line) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		return l.pass(cmd, func() error { return next(ctx, cmd) })
	}
}

func (l *line) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		return l.pass(cmds[0], func() error { return next(ctx, cmds) })
	}
}

func (l *line) pass(cmd redis.Cmder, send func() error) error {
	if l.down.Load() {
		cmd.SetErr(errDown)
		return errDown
	}
	err := send()
	if l.replies.Load() && err == nil {
		cmd.SetErr(errDown)
		return errDown
	}
	return err
}

func processNames(t *testing.T, rdb *redis.Client) []string {
	t.Helper()
	processes, err := claims.Processes(context.Background(), rdb)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, p := range processes {
		names = append(names, p.Name)
	}
	return names
}

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

func newRedis(t *testing.T) *redis.Client {
	t.Helper()
	t.Parallel()
	return redistest.New(t)
}
