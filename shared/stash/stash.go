// Package stash keeps results in Redis until a flush has written them.
package stash

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"regmend/shared/gitlab"

	"github.com/redis/go-redis/v9"
)

var (
	// ErrFull says that the stash has no room until a flush has run.
	ErrFull = errors.New("the stash is full until a flush has run")
	// ErrDamaged says that entries were not results and have been dropped.
	ErrDamaged = errors.New("entries of the stash were damaged and have been dropped")
)

// maxScan is the highest scan number that a sorted set's score can tell from
// the next.
const maxScan = 1 << 53

// Config bounds the stash.
type Config struct {
	MaxEntries int   // default 20,000
	MaxBytes   int64 // of the results as JSON; default 16 MiB
	// ReadBytes bounds what Oldest reads at once; default 8 MiB.
	ReadBytes int64
}

func (c Config) withDefaults() Config {
	c.MaxEntries = cmp.Or(c.MaxEntries, 20_000)
	c.MaxBytes = cmp.Or(c.MaxBytes, 16<<20)
	c.ReadBytes = cmp.Or(c.ReadBytes, 8<<20)
	return c
}

// Stash is the one stash of an installation; every process has its own Stash
// value. It is safe for concurrent use.
type Stash struct {
	rdb redis.UniversalClient
	cfg Config
}

// New makes a Stash.
func New(rdb redis.UniversalClient, cfg Config) *Stash {
	return &Stash{rdb: rdb, cfg: cfg.withDefaults()}
}

// State is how full the stash is.
type State struct {
	Entries int
	Bytes   int64
	// Age is how long the oldest result has waited: since it came into the
	// empty stash, or since an Ack left it behind. 0 when empty.
	Age time.Duration
}

// Put stashes results, all or none. Of two results of one project and one
// status the higher scan number stays; those of different ones stand side by
// side. Putting the same results again changes nothing.
//
// It returns ErrFull, and the state that shows it, if the stash would exceed
// its bounds. An empty stash takes any batch, so that a large one is not stuck.
func (s *Stash) Put(ctx context.Context, results []gitlab.Result) (State, error) {
	entries, err := encode(results)
	if err != nil {
		return State{}, err
	}
	args := []any{s.cfg.MaxEntries, s.cfg.MaxBytes}
	for _, e := range entries {
		args = append(args, e.field, e.scan, e.value)
	}
	reply, err := numbers(putScript.Run(ctx, s.rdb, dataKeys(), args...), 4)
	if err != nil {
		return State{}, fmt.Errorf("stash %d results: %w", len(results), err)
	}
	state, full := parseState(reply), reply[3] == 1
	if full {
		return state, ErrFull
	}
	return state, nil
}

// Done returns those of ids that have a stashed result, a look as well, with a scan
// number above after.
func (s *Stash) Done(ctx context.Context, ids []int64, after int64) (map[int64]bool, error) {
	done := map[int64]bool{}
	if len(ids) == 0 {
		return done, nil
	}
	fields := make([]string, 0, len(marks)*len(ids))
	for _, id := range ids {
		for status := range marks {
			fields = append(fields, field(id, status))
		}
	}
	// What is not in the set has score 0, which no scan has.
	scans, err := s.rdb.ZMScore(ctx, orderKey(), fields...).Result()
	if err != nil {
		return nil, fmt.Errorf("look for %d projects in the stash: %w", len(ids), err)
	}
	for i, id := range ids {
		own := scans[len(marks)*i : len(marks)*(i+1)]
		if int64(slices.Max(own)) > max(after, 0) {
			done[id] = true
		}
	}
	return done, nil
}

// State tells how full the stash is.
func (s *Stash) State(ctx context.Context) (State, error) {
	reply, err := numbers(stateScript.Run(ctx, s.rdb, dataKeys()), 3)
	if err != nil {
		return State{}, fmt.Errorf("state of the stash: %w", err)
	}
	return parseState(reply), nil
}

// Oldest reads up to limit results, lowest scan numbers first; fewer when they
// are large, but one at least unless the stash is empty. What cannot be read is
// dropped, at the price of another scan, and told by ErrDamaged; the next call
// goes on.
func (s *Stash) Oldest(ctx context.Context, limit int) ([]gitlab.Result, error) {
	if limit < 1 {
		return nil, nil // to the script it would mean all
	}
	reply, err := oldestScript.Run(ctx, s.rdb, dataKeys(), limit, s.cfg.ReadBytes).StringSlice()
	if err != nil {
		return nil, fmt.Errorf("read the stash: %w", err)
	}
	results := make([]gitlab.Result, 0, len(reply)/3)
	var damaged []any
	for i := 0; i+2 < len(reply); i += 3 {
		r, err := decode(reply[i], reply[i+1], reply[i+2])
		if err != nil {
			damaged = append(damaged, reply[i], reply[i+1])
			continue
		}
		results = append(results, r)
	}
	if len(damaged) == 0 {
		return results, nil
	}
	if err := s.remove(ctx, damaged); err != nil {
		return nil, err
	}
	return nil, fmt.Errorf("%d of %d: %w", len(damaged)/2, len(reply)/3, ErrDamaged)
}

// Ack removes exactly those results, if they are still the ones given: what was
// put since with a higher scan number stays.
func (s *Stash) Ack(ctx context.Context, results []gitlab.Result) error {
	pairs := make([]any, 0, 2*len(results))
	for _, r := range results {
		pairs = append(pairs, field(r.Project.ID, r.Status), r.Scan)
	}
	return s.remove(ctx, pairs)
}

// remove takes pairs of a field and the scan number that it must still have.
func (s *Stash) remove(ctx context.Context, pairs []any) error {
	if len(pairs) == 0 {
		return nil
	}
	if err := ackScript.Run(ctx, s.rdb, dataKeys(), pairs...).Err(); err != nil {
		return fmt.Errorf("ack %d results: %w", len(pairs)/2, err)
	}
	return nil
}

// Clear drops every result, for a new run.
func (s *Stash) Clear(ctx context.Context) error {
	if err := s.rdb.Del(ctx, append(dataKeys(), flushRequestKey())...).Err(); err != nil {
		return fmt.Errorf("clear the stash: %w", err)
	}
	return nil
}

// numbers are the n numbers that a script answers with; a Redis that is not what
// it seems to be may answer anything.
func numbers(answer *redis.Cmd, n int) ([]int64, error) {
	reply, err := answer.Int64Slice()
	if err == nil && len(reply) != n {
		err = fmt.Errorf("redis answers with %d numbers instead of %d", len(reply), n)
	}
	return reply, err
}

func parseState(reply []int64) State {
	return State{
		Entries: int(reply[0]),
		Bytes:   reply[1],
		Age:     time.Duration(reply[2]) * time.Millisecond,
	}
}
