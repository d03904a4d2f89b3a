package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"syscall"
	"time"

	"regmend/shared/servers"

	"golang.org/x/sys/unix"
)

// killLimit is P11's.
const killLimit = 20 * time.Second

func processKinds() []kind {
	return []kind{
		{name: "process/kill-scanning", inject: killScanning, limit: killLimit},
		{name: "process/kill-waiting", inject: killWaiting, limit: killLimit},
		{name: "process/kill-before-flush", inject: killBeforeFlush, limit: killLimit},
		{name: "process/kill-all", inject: killAll, limit: killLimit},
		{name: "process/kill-leader", inject: killLeader, limit: killLimit},
		{name: "process/sigterm", inject: terminateOne},
		{name: "process/freeze", inject: freeze},
		{name: "process/out-of-memory", inject: outOfMemory, limit: killLimit},
		{name: "process/two-leaders", inject: twoLeaders},
	}
}

// killed is the moment of a kill; it is over when the batches that were in hand
// then are in living hands again, or ended.
func killed(in *installation, since time.Time, hands hands) healed {
	return healed{since: since, plain: true, back: func(ctx context.Context) (bool, error) {
		return in.taken(ctx, hands)
	}}
}

// killScanning kills a consumer that holds a slot.
func killScanning(ctx context.Context, in *installation, dice *rand.Rand) (healed, error) {
	if err := in.working(ctx); err != nil {
		return healed{}, err
	}
	name, err := in.consumerThat(ctx, dice, in.scans)
	if err != nil {
		return healed{}, err
	}
	return in.killOne(ctx, name)
}

// killWaiting kills a consumer all of whose batches wait for a slot.
func killWaiting(ctx context.Context, in *installation, dice *rand.Rand) (healed, error) {
	if err := in.working(ctx); err != nil {
		return healed{}, err
	}
	if err := in.setCap(ctx, 0); err != nil {
		return healed{}, err
	}
	waits := func(ctx context.Context, process string) (bool, error) {
		scans, err := in.scans(ctx, process)
		return err == nil && !scans, err
	}
	name, err := in.consumerThat(ctx, dice, waits)
	var h healed
	if err == nil {
		h, err = in.killOne(ctx, name)
	}
	return h, errors.Join(err, in.setCap(ctx, usualCap))
}

// killBeforeFlush kills a consumer that scans while results wait in the stash
// and the table cannot be written.
func killBeforeFlush(ctx context.Context, in *installation, dice *rand.Rand) (h healed, err error) {
	if err := in.working(ctx); err != nil {
		return healed{}, err
	}
	tx, err := in.database.sql.BeginTxx(ctx, nil)
	if err != nil {
		return healed{}, nil // Postgres is away: another fault keeps the flush from coming
	}
	defer func() { _ = tx.Rollback() }() // only its lock was wanted
	if _, err := tx.ExecContext(ctx, `LOCK TABLE regmend.data_repair_details IN SHARE MODE`); err != nil {
		return healed{}, nil
	}
	_ = servers.Await(ctx, "results wait in the stash", 10*time.Second, func(ctx context.Context) (bool, error) {
		n, err := in.redis.client().ZCard(ctx, stashOrder).Result()
		return n > 0, err
	})
	name, err := in.consumerThat(ctx, dice, in.scans)
	if err != nil {
		return healed{}, err
	}
	return in.killOne(ctx, name)
}

// killOne kills a consumer, and the worker of plain asynq.
func (in *installation) killOne(ctx context.Context, name string) (healed, error) {
	hands := in.handsOf(ctx, name)
	since := time.Now()
	return killed(in, since, hands), errors.Join(in.fleet.kill(name), in.plain.crash())
}

func killAll(ctx context.Context, in *installation, _ *rand.Rand) (healed, error) {
	if err := in.working(ctx); err != nil {
		return healed{}, err
	}
	hands := in.handsOf(ctx, in.fleet.consumers()...)
	since := time.Now()
	var err error
	for _, name := range in.fleet.consumers() {
		err = errors.Join(err, in.fleet.kill(name))
	}
	return killed(in, since, hands), errors.Join(err, in.plain.crash())
}

// killLeader kills the producer that leads; the other one takes over.
func killLeader(ctx context.Context, in *installation, _ *rand.Rand) (healed, error) {
	leader, err := in.leader(ctx)
	if err != nil {
		return healed{}, err
	}
	_, before := in.fleet.running(leader)
	since := time.Now()
	err = in.fleet.kill(leader)
	return healed{since: since, back: func(ctx context.Context) (bool, error) {
		now, err := in.leader(ctx)
		_, process := in.fleet.running(now)
		return err == nil && process != before, err
	}}, err
}

func terminateOne(ctx context.Context, in *installation, dice *rand.Rand) (healed, error) {
	if err := in.working(ctx); err != nil {
		return healed{}, err
	}
	names := append(in.fleet.consumers(), "producer1", "producer2", "web")
	err := in.fleet.terminate(names[dice.IntN(len(names))])
	return healed{since: time.Now()}, err
}

// frozenFor is longer than every lease, of regmend's and of asynq's.
const frozenFor = 35 * time.Second

// freeze stops a consumer or the leading producer for longer than every lease,
// and lets it go on as if nothing had been.
func freeze(ctx context.Context, in *installation, dice *rand.Rand) (healed, error) {
	if err := in.working(ctx); err != nil {
		return healed{}, err
	}
	name := in.fleet.consumers()[dice.IntN(3)]
	if dice.IntN(3) == 0 {
		leader, err := in.leader(ctx)
		if err != nil {
			return healed{}, err
		}
		name = leader
	}
	_, p := in.fleet.running(name)
	if err := p.Signal(syscall.SIGSTOP); err != nil {
		return healed{}, err
	}
	select {
	case <-time.After(frozenFor):
	case <-ctx.Done():
	}
	return healed{since: time.Now()}, p.Signal(syscall.SIGCONT)
}

// outOfMemory lets a consumer get no more memory, so that it dies of the next
// need for some, which those who want its metrics bring about.
func outOfMemory(ctx context.Context, in *installation, dice *rand.Rand) (healed, error) {
	if err := in.working(ctx); err != nil {
		return healed{}, err
	}
	name, err := in.consumerThat(ctx, dice, in.scans)
	if err != nil {
		return healed{}, err
	}
	hands := in.handsOf(ctx, name)
	p := in.fleet.expect(name)
	nothing := unix.Rlimit{Cur: 1 << 20, Max: unix.RLIM_INFINITY}
	if err := unix.Prlimit(p.PID(), unix.RLIMIT_DATA, &nothing, nil); err != nil {
		return healed{}, fmt.Errorf("limit the memory of process %d: %w", p.PID(), err)
	}
	if err := in.crowd(ctx, name, p); err != nil {
		return healed{}, errors.Join(err, p.Kill())
	}
	return killed(in, time.Now(), hands), in.plain.crash()
}

// crowd lets more and more begin to ask a member for its metrics, until its
// process ends.
func (in *installation) crowd(ctx context.Context, name string, p *servers.Process) error {
	m, _ := in.fleet.running(name)
	for range 20_000 {
		conn, err := net.Dial("tcp", m.listen)
		if err == nil {
			defer conn.Close()                                   //nolint:errcheck,revive // all stay open until the end
			_, _ = io.WriteString(conn, "GET /metrics HTTP/1.1") // it may be about to die
		}
		select {
		case <-p.Exited():
			return nil
		case <-ctx.Done():
			return ctx.Err()
		default:
		}
	}
	return fmt.Errorf("%s does not die of it", name)
}

// twoLeaders takes the leadership away from the producer that has it, without
// its notice, again and again.
func twoLeaders(ctx context.Context, in *installation, _ *rand.Rand) (healed, error) {
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for range 40 {
		_ = in.redis.client().Del(ctx, leaderKey).Err() // it may be away
		select {
		case <-tick.C:
		case <-ctx.Done():
			return healed{}, ctx.Err()
		}
	}
	return healed{since: time.Now()}, nil
}
