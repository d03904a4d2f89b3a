package board

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/redis/go-redis/v9"
)

// Notices are what every consumer looks at all the time; each is zero where
// nothing is up.
type Notices struct {
	Run     RunMark
	Hold    Hold // the first of Holds
	Witness Witness
}

// Notices reads them in one round trip.
func (b *Board) Notices(ctx context.Context) (Notices, error) {
	var run, holds *redis.SliceCmd
	var witness *redis.StringCmd
	_, err := b.rdb.Pipelined(ctx, func(p redis.Pipeliner) error {
		run = p.HMGet(ctx, runKey(), "run", "scan")
		holds = p.MGet(ctx, holdKeys()...)
		witness = p.Get(ctx, witnessKey())
		return nil
	})
	if err != nil && !errors.Is(err, redis.Nil) {
		return Notices{}, fmt.Errorf("read the notices: %w", err)
	}
	n := Notices{Run: parseRunMark(run.Val())}
	up, err := parseHolds(holds.Val())
	if err != nil {
		return Notices{}, err
	}
	if len(up) > 0 {
		n.Hold = up[0]
	}
	if text := witness.Val(); text != "" {
		if err := json.Unmarshal([]byte(text), &n.Witness); err != nil {
			return Notices{}, fmt.Errorf("read %s: %w", witnessKey(), err)
		}
	}
	return n, nil
}
