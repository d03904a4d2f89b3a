package board

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/redis/go-redis/v9"
)

// Walk is where the producer's walk stands.
type Walk struct {
	Run     int64     `json:"run"`
	Scope   string    `json:"scope"`   // what the walk keeps to
	Lap     int64     `json:"lap"`     // unique for each lap
	Cursor  int64     `json:"cursor"`  // the highest project ID handed out
	Started time.Time `json:"started"` // of the lap
	Ended   bool      `json:"ended"`   // the table's end was reached
}

// advanceScript replaces the walk if it is the one given.
//
// KEYS: walk; ARGV: present walk as JSON or "", next walk as JSON, ttl in s
// Result: 1 if it was replaced, or stands there already, else 0
var advanceScript = redis.NewScript(`
local present = redis.call('GET', KEYS[1]) or ''
if present ~= ARGV[1] and present ~= ARGV[2] then
  return 0
end
redis.call('SET', KEYS[1], ARGV[2], 'EX', ARGV[3])
return 1
`)

// Walk tells where the walk stands; ok is false when none is known. What is not
// legible is taken down, for AdvanceWalk would wait for it to change.
func (b *Board) Walk(ctx context.Context) (w Walk, ok bool, err error) {
	text, err := b.rdb.Get(ctx, walkKey()).Result()
	switch {
	case errors.Is(err, redis.Nil):
		return Walk{}, false, nil
	case err != nil:
		return Walk{}, false, fmt.Errorf("read %s: %w", walkKey(), err)
	case json.Unmarshal([]byte(text), &w) == nil:
		return w, true, nil
	}
	if err := unlockScript.Run(ctx, b.rdb, []string{walkKey()}, text).Err(); err != nil {
		return Walk{}, false, fmt.Errorf("take down the walk: %w", err)
	}
	return Walk{}, false, nil
}

// AdvanceWalk replaces from by to if from is what stands there, or to already
// (the client asks again when a reply is lost); false: somebody else replaced
// it, or Redis lost it. A zero from stands for none.
func (b *Board) AdvanceWalk(ctx context.Context, from, to Walk) (bool, error) {
	present, err := from.text()
	if err != nil {
		return false, err
	}
	next, err := to.text()
	if err != nil {
		return false, err
	}
	args := []any{present, next, int64(noteTTL.Seconds())}
	replaced, err := advanceScript.Run(ctx, b.rdb, []string{walkKey()}, args...).Bool()
	if err != nil {
		return false, fmt.Errorf("advance the walk to project %d: %w", to.Cursor, err)
	}
	return replaced, nil
}

// text is the walk as it stands in Redis. A moment is written and read back in
// the zone it has, so what was read is written in the same way.
func (w Walk) text() (string, error) {
	if w == (Walk{}) {
		return "", nil
	}
	text, err := json.Marshal(w)
	if err != nil {
		return "", fmt.Errorf("write down the walk: %w", err)
	}
	return string(text), nil
}
