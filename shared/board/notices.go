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
	Hold    Hold // the registry's, or else the catalog's
	Shrunk  Hold // the listings'; the other kinds every process finds out for itself
	Witness Witness
	Catalog Catalog
}

// Notices reads them in one round trip.
func (b *Board) Notices(ctx context.Context) (Notices, error) {
	var run, holds *redis.SliceCmd
	var witness, catalog *redis.StringCmd
	_, err := b.rdb.Pipelined(ctx, func(p redis.Pipeliner) error {
		run = p.HMGet(ctx, runKey(), "run", "scan")
		holds = p.MGet(ctx, holdKeys()...)
		witness = p.Get(ctx, witnessKey())
		catalog = p.Get(ctx, catalogKey())
		return nil
	})
	if err != nil && !errors.Is(err, redis.Nil) {
		return Notices{}, fmt.Errorf("read the notices: %w", err)
	}
	n := Notices{Run: parseRunMark(run.Val())}
	for _, h := range parseHolds(holds.Val()) {
		switch {
		case n.Hold.Kind == "" && (h.Kind == HoldRegistry || h.Kind == HoldCatalog):
			n.Hold = h
		case h.Kind == HoldShrunk:
			n.Shrunk = h
		}
	}
	if json.Unmarshal([]byte(witness.Val()), &n.Witness) != nil {
		n.Witness = Witness{}
	}
	if json.Unmarshal([]byte(catalog.Val()), &n.Catalog) != nil {
		n.Catalog = Catalog{}
	}
	return n, nil
}
