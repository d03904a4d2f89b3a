// Package board is the notice board in Redis on which regmend's processes
// leave word for each other: the run they work for, why they hold, what the
// witness found, the counters. All of it can be lost and is made again.
package board

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/redis/go-redis/v9"
)

// noteTTL keeps notices that are renewed in daily life, and no others.
const noteTTL = 7 * 24 * time.Hour

// Board is safe for concurrent use.
type Board struct{ rdb redis.UniversalClient }

// New makes a Board.
func New(rdb redis.UniversalClient) *Board { return &Board{rdb: rdb} }

// Control is noted for a run.
type control struct {
	Run  int64  `json:"run"`
	Path string `json:"path"`
}

// SetControl notes the full registry path of the last project of the run that
// listed non-empty.
func (b *Board) SetControl(ctx context.Context, run int64, path string) error {
	return b.set(ctx, controlKey(), control{Run: run, Path: path}, noteTTL)
}

// Control tells that path; ok is false when the run has none yet.
func (b *Board) Control(ctx context.Context, run int64) (path string, ok bool, err error) {
	var c control
	ok, err = b.read(ctx, controlKey(), &c)
	if !ok || c.Run != run {
		return "", false, err
	}
	return c.Path, true, nil
}

// Witness is the outcome of the last look for known repositories.
type Witness struct {
	Run      int64     `json:"run"`
	Registry string    `json:"registry"`
	Sampled  int       `json:"sampled"`
	Found    int       `json:"found"`
	At       time.Time `json:"at"`
}

// SetWitness notes the outcome for ttl.
func (b *Board) SetWitness(ctx context.Context, w Witness, ttl time.Duration) error {
	return b.set(ctx, witnessKey(), w, ttl)
}

// Witness tells the outcome; ok is false when there is none.
func (b *Board) Witness(ctx context.Context) (w Witness, ok bool, err error) {
	ok, err = b.read(ctx, witnessKey(), &w)
	return w, ok, err
}

// Counters are the leader's last count of the projects, for pages that are
// read often.
type Counters struct {
	Run                 int64     `json:"run"`
	Projects            int64     `json:"projects"`
	Eligible            int64     `json:"eligible"`
	Completed           int64     `json:"completed"`
	Failed              int64     `json:"failed"`
	Pending             int64     `json:"pending"`
	Looked              int64     `json:"looked,omitempty"` // of those, waiting for a second look
	MissingTotal        int64     `json:"missing_total"`
	ProjectsWithMissing int64     `json:"projects_with_missing"`
	At                  time.Time `json:"at"`
}

// SetCounters notes the count.
func (b *Board) SetCounters(ctx context.Context, c Counters) error {
	return b.set(ctx, countersKey(), c, noteTTL)
}

// Counters tells the count; ok is false when there is none.
func (b *Board) Counters(ctx context.Context) (c Counters, ok bool, err error) {
	ok, err = b.read(ctx, countersKey(), &c)
	return c, ok, err
}

// CountScanned adds to the number of results stashed since Redis knows.
func (b *Board) CountScanned(ctx context.Context, n int) error {
	if err := b.rdb.IncrBy(ctx, scannedKey(), int64(n)).Err(); err != nil {
		return fmt.Errorf("count %d results: %w", n, err)
	}
	return nil
}

// Scanned tells that number.
func (b *Board) Scanned(ctx context.Context) (int64, error) {
	n, err := b.rdb.Get(ctx, scannedKey()).Int64()
	if err != nil && !errors.Is(err, redis.Nil) {
		return 0, fmt.Errorf("count of results: %w", err)
	}
	return n, nil
}

// set puts v up as JSON for ttl.
func (b *Board) set(ctx context.Context, key string, v any, ttl time.Duration) error {
	text, err := json.Marshal(v)
	if err == nil {
		err = b.rdb.Set(ctx, key, text, ttl).Err()
	}
	if err != nil {
		return fmt.Errorf("set %s: %w", key, err)
	}
	return nil
}

// read reads v; ok is false when nothing is there, or nothing legible, which only
// a foreign hand can have left.
func (b *Board) read(ctx context.Context, key string, v any) (ok bool, err error) {
	text, err := b.rdb.Get(ctx, key).Bytes()
	if errors.Is(err, redis.Nil) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("read %s: %w", key, err)
	}
	return json.Unmarshal(text, v) == nil, nil
}
