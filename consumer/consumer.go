// Package consumer works on the queues: it scans the projects of a batch,
// stashes what it finds, and flushes the stash to Postgres; it carries sweeps
// through the registry's catalog on, and puts back what was lost.
package consumer

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"regmend/shared/board"
	"regmend/shared/claims"
	"regmend/shared/haste"
	"regmend/shared/postgres"
	"regmend/shared/registry"
	"regmend/shared/slots"
	"regmend/shared/stash"
	"regmend/shared/tasks"

	"github.com/hibiken/asynq"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/redis/go-redis/v9"
	"github.com/sirupsen/logrus"
	"golang.org/x/sync/errgroup"
)

// ErrNotStashed is what Run returns when results of finished scans could not
// be stashed before the process had to end. Their projects are scanned again.
var ErrNotStashed = errors.New("results could not be stashed in Redis before the end; their projects will be scanned again")

// The whole process has ten seconds to stop. shutdownTimeout is how long it
// waits for handlers, which leave at once when told to, but for what an absent
// Postgres or Redis makes them wait; then lastFlush is how long a flush may take.
const shutdownTimeout, lastFlush = 6 * time.Second, 2 * time.Second

// Config is what may be tuned; zero values mean the defaults.
type Config struct {
	// Workers is how many batches the process holds at once, waiting for a
	// slot or scanning, beside those of dead processes; default 16. The cap
	// over all processes is the setting max_concurrency.
	Workers int
	// Process names this process among all others. Required.
	Process string
	// Info is what others are told of this process.
	Info claims.Info
	// Slots and Claims keep time; all processes on one Redis need the same.
	// Claims' Info is the one above. Of the budget of Slots the registry's client
	// must spend for each request (Admit).
	Slots  slots.Config
	Claims claims.Config
	// Metrics receives what happens; default: a fresh one. The registry's client
	// must tell it of each answer (Observe), or the brake sees nothing.
	Metrics *Metrics
	// GitLab makes the rows of repairs that are to be made by it; nil: this process
	// has no credentials for it.
	GitLab pusher
}

func (c Config) withDefaults() Config {
	if c.Workers == 0 {
		c.Workers = 16
	}
	if c.Metrics == nil {
		c.Metrics = NewMetrics()
	}
	c.Claims.Info = c.Info
	return c
}

// Consumer is one consumer process. It shares its work with all others
// through Redis.
type Consumer struct {
	cfg       Config
	log       logrus.FieldLogger
	db        *postgres.DB
	watch     *postgres.Watch
	rdb       redis.UniversalClient
	registry  *registry.Client
	stash     *stash.Stash
	claims    *claims.Claims
	board     *board.Board
	pool      *slots.Pool
	repairs   *slots.Pool
	deck      *deck
	hands     *hands
	bells     *bells
	gate      *gate
	doors     *gate // open until the process stops, for what asks the registry nothing
	witness   *witness
	doubts    *doubts
	mender    *mender
	keeper    *keeper
	brakeman  *brakeman
	control   control
	haste     *haste.Haste
	scanned   atomic.Int64 // results stashed and not yet told to the board
	called    atomic.Int64 // when a flush was last called for, in Unix nanoseconds
	unstashed atomic.Bool
}

// New puts a consumer together. It connects to nothing yet; watch must be
// running while Run does. From now on no command of rdb takes longer than a few
// seconds; it must let a command end with its context (ContextTimeoutEnabled).
func New(db *postgres.DB, watch *postgres.Watch, rdb redis.UniversalClient, reg *registry.Client, log logrus.FieldLogger, cfg Config) *Consumer {
	cfg = cfg.withDefaults()
	c := &Consumer{
		cfg:      cfg,
		log:      log,
		db:       db,
		watch:    watch,
		rdb:      rdb,
		registry: reg,
		stash:    stash.New(rdb, stash.Config{}),
		claims:   claims.New(rdb, cfg.Process, log, cfg.Claims),
		board:    board.New(rdb),
		gate:     newGate(),
		doors:    newGate(),
		hands:    newHands(),
		bells:    newBells(rdb),
		haste:    haste.New(),
	}
	c.doors.set(nil)
	rdb.AddHook(c.haste)
	c.pool = slots.NewPool(rdb, cfg.Process, c.limits, log, cfg.Slots)
	c.repairs = slots.NewRepairPool(rdb, cfg.Process, c.repairLimits, log, cfg.Slots)
	c.deck = newDeck(func() int { return c.limits().Slots })
	c.witness = &witness{log: log, db: db, board: c.board, registry: reg, control: &c.control}
	c.doubts = &doubts{db: db, registry: reg, witness: c.witness}
	c.mender = &mender{
		log: log, process: cfg.Process, watch: watch, board: c.board, gate: c.gate,
		pool: c.pool, registry: reg, witness: c.witness, doubts: c.doubts, metrics: cfg.Metrics,
	}
	c.keeper = &keeper{
		log: log, process: cfg.Process, watch: watch, board: c.board, gate: c.gate,
		pool: c.pool, repairs: c.repairs, mender: c.mender,
	}
	c.brakeman = &brakeman{
		log: log, process: cfg.Process, db: db, watch: watch, board: c.board, rdb: rdb, metrics: cfg.Metrics,
	}
	return c
}

// Collectors returns the metrics to be registered.
func (c *Consumer) Collectors() []prometheus.Collector { return c.cfg.Metrics.Collectors() }

func (c *Consumer) limits() slots.Limits { return limits(c.watch) }

// limits are what this process knows of them: no slots while it does not know.
func limits(watch *postgres.Watch) slots.Limits {
	state, err := watch.Now()
	if err != nil || resting(state.Settings, time.Now()) != nil {
		return slots.Limits{}
	}
	return slots.Limits{Slots: state.Slots(), PerSecond: state.Settings.PerSecond}
}

// Run works until ctx ends, and then leaves: scans are abandoned at once, what
// is done is stashed and flushed. It returns ErrNotStashed if that failed.
func (c *Consumer) Run(ctx context.Context) error {
	// The parts below outlive ctx: stopping is a sequence, not an instant.
	rest, end := context.WithCancel(context.WithoutCancel(ctx))
	defer end()
	parts, rest := errgroup.WithContext(rest)
	parts.Go(func() error { return c.pool.Run(rest) })
	parts.Go(func() error { return c.repairs.Run(rest) })
	parts.Go(func() error { return c.keeper.run(rest) })
	parts.Go(func() error { return c.callFlushes(rest) })
	parts.Go(func() error { return c.keepClaims(rest) })
	parts.Go(func() error { return c.brakeman.run(rest) })
	parts.Go(func() error { return c.bells.run(rest) })

	servers := []*asynq.Server{
		c.scanServer(), c.adhocServer(), c.confirmServer(), c.rescueServer(), c.flushServer(), c.sweepServer(),
		c.retainServer(), c.repairServer(),
	}
	if err := c.start(servers); err != nil {
		end()
		return errors.Join(err, ignoreCanceled(parts.Wait()))
	}
	select {
	case <-ctx.Done():
	case <-rest.Done(): // a part failed
	}
	c.stop(rest, servers)
	end()
	if err := ignoreCanceled(parts.Wait()); err != nil {
		return err
	}
	if c.unstashed.Load() {
		return ErrNotStashed
	}
	return nil
}

// stop leaves in order: take no more, abandon scans, flush what they stashed.
func (c *Consumer) stop(ctx context.Context, servers []*asynq.Server) {
	c.gate.stop()
	c.bells.stop()
	c.doors.stop()
	c.haste.Begin()
	var all sync.WaitGroup
	for _, server := range servers {
		all.Go(server.Shutdown)
	}
	all.Wait()
	ctx, cancel := context.WithTimeout(ctx, lastFlush)
	defer cancel()
	if _, err := c.flush(ctx); err != nil {
		c.log.WithError(err).Info("the stash is left to the other consumers")
	}
}

// keepClaims keeps this process's claims alive, and puts batches of dead
// consumers back into the queue.
func (c *Consumer) keepClaims(ctx context.Context) error {
	return c.claims.Run(ctx, c.requeue, c.active)
}

func (c *Consumer) requeue(ctx context.Context, w claims.Work) (enqueued, ended bool, err error) {
	return tasks.Requeue(ctx, c.rdb, tasks.Batch{Name: w.Name, Generation: w.Generation}, w.Payload)
}

func (c *Consumer) active(ctx context.Context) ([]claims.Work, error) {
	running, err := tasks.Active(ctx, c.rdb)
	work := make([]claims.Work, len(running))
	for i, r := range running {
		work[i] = claims.Work{Name: r.Batch.Name, Generation: r.Batch.Generation, Payload: r.Payload}
	}
	return work, err
}

func ignoreCanceled(err error) error {
	if errors.Is(err, context.Canceled) {
		return nil
	}
	return err
}
