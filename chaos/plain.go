package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"regmend/shared/servers"

	"github.com/hibiken/asynq"
	"github.com/redis/go-redis/v9"
)

// plainVerb makes the harness's own program the worker of plain asynq, which
// finds what it has to know of Redis in plainEnv.
const (
	plainVerb = "plain-worker"
	plainEnv  = "CHAOS_PLAIN_REDIS"
)

const (
	plainQueue   = "plain"
	plainPending = "asynq:{plain}:pending"
	// plainWaiting is how many tasks are kept waiting: work for ten seconds.
	plainWaiting = 10
	plainSteps   = 20
	plainStep    = 100 * time.Millisecond
)

// What happens to a task; killed is what happens to all that the worker has.
const (
	plainEnqueued = "enqueued"
	plainBegun    = "begun"
	plainEnded    = "ended"
	plainLeft     = "left" // before the end, because asynq asked
	plainKilled   = "killed"
)

// plainEvent is a line that the worker prints, or a note of the harness's.
type plainEvent struct {
	Task  string    `json:"task"`
	Event string    `json:"event"`
	Time  time.Time `json:"time"`
}

// plainRedis is what the worker has to know of a Redis: one address without
// TLS, or Sentinels'.
type plainRedis struct {
	Addrs                              []string
	MasterName                         string
	Username, Password                 string
	SentinelUsername, SentinelPassword string
}

// connect connects to a database beside regmend's.
func (r plainRedis) connect() redis.UniversalClient {
	return redis.NewUniversalClient(&redis.UniversalOptions{
		Addrs: r.Addrs, MasterName: r.MasterName, DB: 1,
		Username: r.Username, Password: r.Password,
		SentinelUsername: r.SentinelUsername, SentinelPassword: r.SentinelPassword,
	})
}

// plainWorker works on tasks until ctx ends, and prints what happens to them.
func plainWorker(ctx context.Context, out io.Writer) error {
	var r plainRedis
	if err := json.Unmarshal([]byte(os.Getenv(plainEnv)), &r); err != nil {
		return fmt.Errorf("%s: %w", plainEnv, err)
	}
	rdb := r.connect()
	defer rdb.Close()
	server := asynq.NewServerFromRedisClient(rdb, asynq.Config{Concurrency: 2, Queues: map[string]int{plainQueue: 1}})
	err := server.Start(asynq.HandlerFunc(func(ctx context.Context, _ *asynq.Task) error { return plainHandle(ctx, out) }))
	if err != nil {
		return err
	}
	<-ctx.Done()
	server.Shutdown()
	return nil
}

// plainHandle is a handler as one would write it: it works in small steps, and
// leaves when it is asked to.
func plainHandle(ctx context.Context, out io.Writer) error {
	id, _ := asynq.GetTaskID(ctx)
	if err := plainPrint(out, id, plainBegun); err != nil {
		return err
	}
	step := time.NewTicker(plainStep)
	defer step.Stop()
	for range plainSteps {
		select {
		case <-step.C:
		case <-ctx.Done():
			return errors.Join(ctx.Err(), plainPrint(out, id, plainLeft))
		}
	}
	return plainPrint(out, id, plainEnded)
}

// plainPrint writes a line at once, so that a kill tears none.
func plainPrint(out io.Writer, id, event string) error {
	line, err := json.Marshal(plainEvent{Task: id, Event: event, Time: time.Now()})
	if err != nil {
		return err
	}
	_, err = out.Write(append(line, '\n'))
	return err
}

// plain is asynq as it comes, for comparison: a worker process with a plain
// handler on the same Redis, and tasks for it.
type plain struct {
	command []string
	env     []string
	log     string
	rdb     redis.UniversalClient
	client  *asynq.Client

	stopFilling context.CancelFunc
	filling     sync.WaitGroup

	tasks   atomic.Int64 // enqueued
	mu      sync.Mutex
	process *servers.Process
	noted   []plainEvent
}

// startPlain starts a worker with the command line, which has to call
// plainWorker, and keeps tasks waiting for it until stop. Its log is in dir.
func startPlain(ctx context.Context, dir string, o *redis.UniversalOptions, command ...string) (*plain, error) {
	r := plainRedis{
		Addrs: o.Addrs, MasterName: o.MasterName, Username: o.Username, Password: o.Password,
		SentinelUsername: o.SentinelUsername, SentinelPassword: o.SentinelPassword,
	}
	address, err := json.Marshal(r)
	if err != nil {
		return nil, err
	}
	rdb := r.connect()
	p := &plain{
		command: command, log: filepath.Join(dir, "plain.log"), rdb: rdb, client: asynq.NewClientFromRedisClient(rdb),
		env: []string{"PATH=" + os.Getenv("PATH"), plainEnv + "=" + string(address)},
	}
	ctx, p.stopFilling = context.WithCancel(ctx)
	p.filling.Go(func() { p.keepFilled(ctx) })
	if err := p.restart(); err != nil {
		return nil, errors.Join(err, p.stop())
	}
	return p, nil
}

// stop ends the worker; what happened can still be read.
func (p *plain) stop() error {
	p.stopFilling()
	p.filling.Wait()
	return errors.Join(p.kill(), p.rdb.Close())
}

// kill ends the worker at once. It stays away until restart.
func (p *plain) kill() error {
	p.mu.Lock()
	process := p.process
	p.mu.Unlock()
	if process == nil {
		return nil
	}
	if err := process.Kill(); err != nil {
		return err
	}
	p.note("", plainKilled)
	return nil
}

// restart starts a worker in place of one that has ended.
func (p *plain) restart() error {
	cmd := exec.Command(p.command[0], p.command[1:]...)
	cmd.Env = p.env
	process, err := servers.Start(cmd, p.log)
	if err != nil {
		return fmt.Errorf("start the worker of plain asynq: %w", err)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.process = process
	return nil
}

func (p *plain) note(task, event string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.noted = append(p.noted, plainEvent{Task: task, Event: event, Time: time.Now()})
}

// keepFilled bears whatever Redis does.
func (p *plain) keepFilled(ctx context.Context) {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		_ = p.fill(ctx, plainWaiting) // the next one makes up for it
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

// fill enqueues tasks until so many are waiting. It is called without end until
// stop; more of it does no harm.
func (p *plain) fill(ctx context.Context, n int) error {
	waiting, err := p.rdb.LLen(ctx, plainPending).Result()
	if err != nil {
		return err
	}
	for range n - int(waiting) {
		id := fmt.Sprint("task-", p.tasks.Add(1))
		_, err := p.client.EnqueueContext(ctx, asynq.NewTask("plain", nil), asynq.Queue(plainQueue), asynq.TaskID(id))
		// The client sends again when it gets no reply.
		if err != nil && !errors.Is(err, asynq.ErrTaskIDConflict) {
			return err
		}
		p.note(id, plainEnqueued)
	}
	return nil
}

// events are all that happened so far, in order.
func (p *plain) events() ([]plainEvent, error) {
	text, err := os.ReadFile(p.log)
	if err != nil {
		return nil, err
	}
	p.mu.Lock()
	events := slices.Clone(p.noted)
	p.mu.Unlock()
	for line := range bytes.Lines(text) {
		var e plainEvent
		if json.Unmarshal(line, &e) == nil { // asynq's own lines are none
			events = append(events, e)
		}
	}
	slices.SortStableFunc(events, func(a, b plainEvent) int { return a.Time.Compare(b.Time) })
	return events, nil
}
