package cmd

import (
	"context"
	"strings"
	"time"

	"regmend/shared/board"
	"regmend/shared/claims"
	"regmend/shared/postgres"
	"regmend/shared/slots"
	"regmend/shared/stash"
	"regmend/shared/tasks"

	"github.com/hibiken/asynq"
	"github.com/redis/go-redis/v9"
)

// details are what status shows to people only.
type details struct {
	run       postgres.Run
	scope     []string
	rests     bool  // it is outside of active_hours
	redisErr  error // set: nothing below is known
	holds     []board.Hold
	queues    []*asynq.QueueInfo
	stash     stash.State
	processes []claims.Process
}

// looker reads the status again and again.
type looker struct {
	db        *postgres.DB
	rdb       redis.UniversalClient
	board     *board.Board
	stash     *stash.Stash
	inspector *asynq.Inspector
}

// looker needs the database to answer, and copes with a Redis that does not.
func (x *parts) looker(ctx context.Context) (*looker, error) {
	db, err := x.readyDatabase(ctx)
	if err != nil {
		return nil, err
	}
	rdb, err := x.redis()
	if err != nil {
		return nil, err
	}
	return &looker{
		db:        db,
		rdb:       rdb,
		board:     board.New(rdb),
		stash:     stash.New(rdb, stash.Config{}),
		inspector: asynq.NewInspectorFromRedisClient(rdb),
	}, nil
}

// now reads the status. It is an error if the database cannot be read; what
// Redis cannot tell is nil.
func (l *looker) now(ctx context.Context) (*status, error) {
	state, err := l.db.State(ctx)
	if err != nil {
		return nil, err
	}
	counts, err := l.db.Counts(ctx, state.Run)
	if err != nil {
		return nil, err
	}
	s := &status{
		Run:                 state.Run.ID,
		Enabled:             state.Settings.ScanEnabled,
		MaxConcurrency:      state.Settings.MaxConcurrency,
		Projects:            counts.Projects,
		Eligible:            counts.Eligible,
		Ineligible:          counts.Ineligible,
		Completed:           counts.Completed,
		Failed:              counts.Failed,
		Pending:             counts.Pending,
		Looked:              counts.Looked,
		MissingTotal:        counts.MissingTotal,
		ProjectsWithMissing: counts.ProjectsWithMissing,
	}
	s.more.run, s.more.scope = state.Run, state.Settings.Scope
	s.Balanced = s.balance()
	if err := l.readSweep(ctx, s); err != nil {
		return nil, err
	}
	if err := l.readKindness(ctx, s, state, time.Now()); err != nil {
		return nil, err
	}
	l.readRedis(ctx, s)
	return s, nil
}

// lookWithin bounds what Redis may take.
const lookWithin = 5 * time.Second

func (l *looker) readRedis(ctx context.Context, s *status) {
	ctx, cancel := context.WithTimeout(ctx, lookWithin)
	defer cancel()
	// The inspector takes no context: ask Redis itself first.
	err := l.rdb.Ping(ctx).Err()
	for _, read := range []func(context.Context, *status) error{l.readHolds, l.readQueues, l.readWork} {
		if err == nil {
			err = read(ctx, s)
		}
	}
	if err != nil {
		s.more.redisErr = unreachedRedis(err)
		reason := s.more.redisErr.Error()
		s.Holding, s.Stashed, s.QueuedTasks, s.RunningScans = &reason, nil, nil, nil
	}
}

func (l *looker) readHolds(ctx context.Context, s *status) (err error) {
	s.more.holds, err = l.board.Holds(ctx)
	if len(s.more.holds) > 0 {
		reasons := reasonsOf(s.more.holds)
		s.Holding = &reasons
	}
	return err
}

// reasonsOf are the reasons of all holds, as one.
func reasonsOf(holds []board.Hold) string {
	var reasons []string
	for _, h := range holds {
		reasons = append(reasons, h.Reason)
	}
	return strings.Join(reasons, "; ")
}

func (l *looker) readQueues(_ context.Context, s *status) error {
	var queued int
	for _, name := range tasks.Queues() {
		info, err := tasks.Info(l.inspector, name)
		if err != nil {
			return err
		}
		s.more.queues = append(s.more.queues, info)
		queued += info.Pending + info.Active + info.Scheduled + info.Retry
	}
	s.QueuedTasks = &queued
	return nil
}

func (l *looker) readWork(ctx context.Context, s *status) (err error) {
	s.more.stash, err = l.stash.State(ctx)
	if err != nil {
		return err
	}
	s.Stashed = &s.more.stash.Entries
	running, err := slots.InUse(ctx, l.rdb)
	if err != nil {
		return err
	}
	s.RunningScans = &running
	s.more.processes, err = claims.Processes(ctx, l.rdb)
	return err
}
