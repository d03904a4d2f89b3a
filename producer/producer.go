// Package producer decides which projects are scanned next, and keeps as many
// of them in the queue as a few minutes of work.
package producer

import (
	"context"
	"errors"
	"fmt"
	"time"

	"regmend/shared/board"
	"regmend/shared/claims"
	"regmend/shared/haste"
	"regmend/shared/postgres"
	"regmend/shared/stash"
	"regmend/shared/tasks"

	"github.com/hibiken/asynq"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/redis/go-redis/v9"
	"github.com/sirupsen/logrus"
	"golang.org/x/sync/errgroup"
)

const (
	// lookEvery is how often a producer looks whether it leads and whether the
	// queue runs dry before its tick.
	lookEvery = time.Second
	// leadLease is how long the others wait for a leader that died.
	leadLease = 10 * time.Second
	// lockName is of the lock of the producer that leads.
	lockName = "producer"
)

// Config is what may be tuned; zero values mean the defaults.
type Config struct {
	// Interval is the tick; default 1 min. In between the queue is filled when
	// it is half empty.
	Interval time.Duration
	// Process names this process among all others. Required.
	Process string
	// Info is what others are told of this process.
	Info claims.Info
	// Claims keep time; all processes on one Redis need the same. Their Info
	// is the one above.
	Claims claims.Config
	// Metrics receives what happens; default: a fresh one.
	Metrics *Metrics
}

func (c Config) withDefaults() Config {
	if c.Interval == 0 {
		c.Interval = time.Minute
	}
	if c.Metrics == nil {
		c.Metrics = NewMetrics()
	}
	c.Claims.Info = c.Info
	return c
}

// Producer is one producer process. Of several, one leads.
type Producer struct {
	cfg        Config
	log        logrus.FieldLogger
	db         *postgres.DB
	watch      *postgres.Watch
	rdb        redis.UniversalClient
	inspector  *asynq.Inspector
	board      *board.Board
	stash      *stash.Stash
	claims     *claims.Claims
	haste      *haste.Haste
	registry   func(context.Context) (string, error)
	rate       rate
	remembered postgres.Remembered // a mark of Redis', to be compared with a later state
	disagrees  error               // what the last comparison found
	waits      string              // the reason last told for not filling the queue
}

// New puts a producer together. It connects to nothing yet; watch must be
// running while Run does. registry asks the registry for its identity; it is
// needed for the first run of all. From now on no command of rdb takes longer than a
// few seconds; it must let a command end with its context (ContextTimeoutEnabled).
func New(db *postgres.DB, watch *postgres.Watch, rdb redis.UniversalClient, registry func(context.Context) (string, error), log logrus.FieldLogger, cfg Config) *Producer {
	cfg = cfg.withDefaults()
	p := &Producer{
		cfg:       cfg,
		log:       log,
		db:        db,
		watch:     watch,
		rdb:       rdb,
		inspector: asynq.NewInspectorFromRedisClient(rdb),
		board:     board.New(rdb),
		stash:     stash.New(rdb, stash.Config{}),
		claims:    claims.New(rdb, cfg.Process, log, cfg.Claims),
		haste:     haste.New(),
		registry:  registry,
	}
	rdb.AddHook(p.haste)
	return p
}

// Collectors returns the metrics to be registered.
func (p *Producer) Collectors() []prometheus.Collector { return p.cfg.Metrics.Collectors() }

// Run produces until ctx ends.
func (p *Producer) Run(ctx context.Context) error {
	defer context.AfterFunc(ctx, p.haste.Begin)()
	parts, ctx := errgroup.WithContext(ctx)
	parts.Go(func() error { return p.lead(ctx) })
	parts.Go(func() error { return p.keepClaims(ctx) })
	if err := parts.Wait(); !errors.Is(err, context.Canceled) {
		return err
	}
	return nil
}

// lead fills the queue while this producer leads.
func (p *Producer) lead(ctx context.Context) error {
	defer p.resign(ctx)
	p.watch.First(ctx)
	look := time.NewTicker(lookEvery)
	defer look.Stop()
	retaining := &retaining{Producer: p}
	counting := newCounting(p)
	defer counting.wait()
	var ticked time.Time
	for {
		if leads := p.elected(ctx); leads {
			counting.start(ctx)
			retaining.due(ctx)
			due := time.Since(ticked) >= p.cfg.Interval
			if due {
				ticked = time.Now()
			}
			p.tell(p.fill(ctx, due))
		}
		select {
		case <-look.C:
		case <-ctx.Done():
			return nil
		}
	}
}

// elected tells whether this producer leads. Two that believe so do no harm:
// they advance one walk, and a batch has one ID.
func (p *Producer) elected(ctx context.Context) bool {
	ctx, cancel := context.WithTimeout(ctx, lookEvery)
	defer cancel()
	leads, err := p.board.Lock(ctx, lockName, p.cfg.Process, leadLease)
	if err != nil && ctx.Err() == nil {
		p.tell(fmt.Errorf("redis: %w", err))
	}
	p.cfg.Metrics.lead(leads && err == nil)
	return leads && err == nil
}

// resign lets another producer lead at once.
func (p *Producer) resign(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), lookEvery)
	defer cancel()
	if err := p.board.Unlock(ctx, lockName, p.cfg.Process); err != nil {
		p.log.WithError(err).Info("the lead is left to expire")
	}
}

// tell logs why the queue is not being filled, once for each reason.
func (p *Producer) tell(err error) {
	reason := ""
	if err != nil {
		reason = err.Error()
	}
	if reason == p.waits || errors.Is(err, context.Canceled) {
		return
	}
	p.waits = reason
	switch {
	case err == nil:
		p.log.Info("the queue is being filled")
	case errors.Is(err, errDisabled):
		p.log.WithField("reason", reason).Info("the queue is not being filled")
	default:
		p.log.WithField("reason", reason).Warn("the queue is not being filled")
	}
}

// keepClaims puts batches of dead consumers back into the queue.
func (p *Producer) keepClaims(ctx context.Context) error {
	return p.claims.Run(ctx, p.requeue, p.active)
}

func (p *Producer) requeue(ctx context.Context, w claims.Work) (enqueued, ended bool, err error) {
	return tasks.Requeue(ctx, p.rdb, tasks.Batch{Name: w.Name, Generation: w.Generation}, w.Payload)
}

func (p *Producer) active(ctx context.Context) ([]claims.Work, error) {
	running, err := tasks.Active(ctx, p.rdb)
	work := make([]claims.Work, len(running))
	for i, r := range running {
		work[i] = claims.Work{Name: r.Batch.Name, Generation: r.Batch.Generation, Payload: r.Payload}
	}
	return work, err
}
