package dashboard

import (
	"context"
	"sync"
	"time"

	"regmend/shared/board"
	"regmend/shared/claims"
	"regmend/shared/postgres"
	"regmend/shared/slots"
	"regmend/shared/stash"
	"regmend/shared/tasks"

	"github.com/hibiken/asynq"
)

const (
	// freshFor is how long a snapshot serves every page and scrape, so that
	// many watchers cost no more than one.
	freshFor = time.Second
	// readWithin bounds the reading of one part.
	readWithin = 3 * time.Second
)

// snapshot is regmend's state as it was read at one moment. Where a part could
// not be read its error is set and what comes from it is not to be shown.
type snapshot struct {
	at time.Time

	postgresErr error
	state       postgres.State
	sweep       *postgres.Sweep // nil: the run has none

	redisErr  error
	counters  *board.Counters // nil: none yet
	holds     []board.Hold    // the one that explains the others first
	witness   *board.Witness  // nil: none yet
	scanned   int64           // results stashed since Redis knows
	pace      float64         // projects scanned a second; 0: not known, or none
	stash     stash.State
	slots     int
	queues    []asynq.QueueInfo // as in tasks.Queues
	processes []claims.Process  // live ones
}

// reader reads snapshots. Nothing in it grows with the number of projects.
type reader struct {
	src       Sources
	board     *board.Board
	stash     *stash.Stash
	inspector *asynq.Inspector

	mu   sync.Mutex
	last snapshot
	pace pace
}

func newReader(src Sources) *reader {
	return &reader{
		src:       src,
		board:     board.New(src.Redis),
		stash:     stash.New(src.Redis, stash.Config{}),
		inspector: asynq.NewInspectorFromRedisClient(src.Redis),
	}
}

// read returns a snapshot not older than a second.
func (r *reader) read(ctx context.Context) snapshot {
	r.mu.Lock()
	defer r.mu.Unlock()
	if time.Since(r.last.at) < freshFor {
		return r.last
	}
	// Others wait for this reading: it does not end with the one who asked.
	ctx = context.WithoutCancel(ctx)
	s := snapshot{}
	s.postgresErr = bounded(ctx, func(ctx context.Context) error { return r.readPostgres(ctx, &s) })
	s.redisErr = bounded(ctx, func(ctx context.Context) error { return r.readRedis(ctx, &s) })
	s.at = time.Now()
	s.dropForeign()
	if s.redisErr == nil {
		s.pace = r.pace.show(s.at, s.scanned)
	}
	r.last = s
	return s
}

// dropForeign drops what was noted for another run than the current one.
func (s *snapshot) dropForeign() {
	if s.postgresErr != nil {
		return
	}
	if s.counters != nil && s.counters.Run != s.state.Run.ID {
		s.counters = nil
	}
	if s.witness != nil && s.witness.Run != s.state.Run.ID {
		s.witness = nil
	}
}

func bounded(ctx context.Context, read func(ctx context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, readWithin)
	defer cancel()
	return read(ctx)
}

// readPostgres takes a standby for unreadable: what it says may be long past.
func (r *reader) readPostgres(ctx context.Context, s *snapshot) (err error) {
	if s.state, err = r.src.DB.State(ctx); err != nil {
		return err
	}
	if s.state.Standby {
		return postgres.ErrStandby
	}
	return r.readSweep(ctx, s)
}

func (r *reader) readRedis(ctx context.Context, s *snapshot) error {
	for _, read := range []func(context.Context, *snapshot) error{r.readNotices, r.readWork, r.readQueues} {
		if err := read(ctx, s); err != nil {
			return err
		}
	}
	return nil
}

func (r *reader) readNotices(ctx context.Context, s *snapshot) error {
	counters, counted, err := r.board.Counters(ctx)
	if err != nil {
		return err
	}
	if s.holds, err = r.board.Holds(ctx); err != nil {
		return err
	}
	witness, seen, err := r.board.Witness(ctx)
	if err != nil {
		return err
	}
	s.counters, s.witness = noted(counters, counted), noted(witness, seen)
	s.scanned, err = r.board.Scanned(ctx)
	return err
}

// noted is a notice, or nil where there is none.
func noted[T any](notice T, ok bool) *T {
	if !ok {
		return nil
	}
	return &notice
}

func (r *reader) readWork(ctx context.Context, s *snapshot) (err error) {
	if s.stash, err = r.stash.State(ctx); err != nil {
		return err
	}
	if s.slots, err = slots.InUse(ctx, r.src.Redis); err != nil {
		return err
	}
	s.processes, err = claims.Processes(ctx, r.src.Redis)
	return err
}

// readQueues takes a queue nobody has enqueued to yet for an empty one.
func (r *reader) readQueues(_ context.Context, s *snapshot) error {
	for _, name := range tasks.Queues() {
		queue, err := tasks.Info(r.inspector, name)
		if err != nil {
			return err
		}
		s.queues = append(s.queues, *queue)
	}
	return nil
}
