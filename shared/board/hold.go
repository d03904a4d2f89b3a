package board

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/redis/go-redis/v9"
)

// Kinds of holds.
const (
	// HoldRun: the run, the database or the registry is not the one it was.
	HoldRun = "run"
	// HoldPostgres: the database is away or cannot be written to.
	HoldPostgres = "postgres"
	// HoldRegistry: the registry is failing.
	HoldRegistry = "registry"
	// HoldCatalog: the registry's catalog shows only a part.
	HoldCatalog = "catalog"
	// HoldWitness: the registry does not know what it should.
	HoldWitness = "witness"
	// HoldShrunk: the listings of many projects shrank, and are not believed.
	HoldShrunk = "shrunk"
)

// holdKinds are all of them, the one that explains the others first.
func holdKinds() []string {
	return []string{HoldRun, HoldPostgres, HoldRegistry, HoldCatalog, HoldWitness, HoldShrunk}
}

// Hold is why scanning waits, for everyone.
type Hold struct {
	Reason string    `json:"reason"`
	Kind   string    `json:"kind"` // one of the Hold constants
	Since  time.Time `json:"since"`
	// Until is when to look again at the earliest (of Retry-After); zero when
	// that is unknown.
	Until time.Time `json:"until,omitzero"`
	// By is the process that put it up.
	By string `json:"by"`
}

// holdScript puts a notice up and keeps since when the one before it was.
//
// KEYS: hold; ARGV: the hold as JSON, ttl in ms
var holdScript = redis.NewScript(`
local new = ARGV[1]
local legible, old = pcall(cjson.decode, redis.call('GET', KEYS[1]) or '')
if legible and type(old) == 'table' and type(old.since) == 'string' then
  local hold = cjson.decode(new)
  hold.since = old.since
  new = cjson.encode(hold)
end
redis.call('SET', KEYS[1], new, 'PX', ARGV[2])
return 1
`)

// SetHold puts the notice up for ttl. A notice of the same kind is replaced but
// for its Since; notices of other kinds stay.
func (b *Board) SetHold(ctx context.Context, h Hold, ttl time.Duration) error {
	if !slices.Contains(holdKinds(), h.Kind) {
		return fmt.Errorf("hold of unknown kind %q", h.Kind)
	}
	text, err := json.Marshal(h)
	if err == nil {
		err = holdScript.Run(ctx, b.rdb, []string{holdKey(h.Kind)}, text, ttl.Milliseconds()).Err()
	}
	if err != nil {
		return fmt.Errorf("hold for the %s: %w", h.Kind, err)
	}
	return nil
}

// ClearHold takes the notice of that kind down.
func (b *Board) ClearHold(ctx context.Context, kind string) error {
	if err := b.rdb.Del(ctx, holdKey(kind)).Err(); err != nil {
		return fmt.Errorf("clear the hold for the %s: %w", kind, err)
	}
	return nil
}

// Holds tells why scanning waits: the reason that explains the others first
// (run, postgres, registry, catalog, witness, shrunk); none if it does not wait.
func (b *Board) Holds(ctx context.Context) ([]Hold, error) {
	notices, err := b.rdb.MGet(ctx, holdKeys()...).Result()
	if err != nil {
		return nil, fmt.Errorf("read the holds: %w", err)
	}
	return parseHolds(notices), nil
}

func holdKeys() []string {
	var keys []string
	for _, kind := range holdKinds() {
		keys = append(keys, holdKey(kind))
	}
	return keys
}

// parseHolds are the notices that are up, given as holdKeys has them. One that
// is not legible, which only a foreign hand can have left, is none; and the kind
// is that of its key.
func parseHolds(notices []any) []Hold {
	var holds []Hold
	for i, notice := range notices {
		text, up := notice.(string)
		h := Hold{}
		if !up || json.Unmarshal([]byte(text), &h) != nil {
			continue
		}
		h.Kind = holdKinds()[i]
		holds = append(holds, h)
	}
	return holds
}
