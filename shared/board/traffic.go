package board

import (
	"context"
	"fmt"
	"time"

	"github.com/redis/go-redis/v9"
)

// Traffic is what the registry answered in a while.
type Traffic struct {
	Small, Large Answers // neither refusals nor failures
	Refused      int64   // 429
	Failed       int64   // 5xx
}

// Answers are some answers, and how long they took together.
type Answers struct {
	Number int64
	Took   time.Duration
}

// Add adds other traffic.
func (t *Traffic) Add(other Traffic) {
	t.Small.Add(other.Small)
	t.Large.Add(other.Large)
	t.Refused += other.Refused
	t.Failed += other.Failed
}

// Add adds other answers.
func (a *Answers) Add(other Answers) {
	a.Number += other.Number
	a.Took += other.Took
}

// Answers are those of both kinds.
func (t *Traffic) Answers() Answers {
	return Answers{t.Small.Number + t.Large.Number, t.Small.Took + t.Large.Took}
}

// trafficTTL is how long traffic is kept that nobody takes.
const trafficTTL = time.Minute

// trafficScript adds to the traffic, and hands all of it to the holder of the
// lock.
//
// KEYS: traffic, lock
// ARGV: holder, lease in ms, ttl in ms, then: field, number, ...
// Result: for the holder the numbers of all, in the order of the fields, else
// nothing
var trafficScript = redis.NewScript(`
for i = 4, #ARGV, 2 do
  redis.call('HINCRBY', KEYS[1], ARGV[i], ARGV[i + 1])
end
redis.call('PEXPIRE', KEYS[1], ARGV[3])
local holder = redis.call('GET', KEYS[2])
if holder and holder ~= ARGV[1] then
  return {}
end
redis.call('SET', KEYS[2], ARGV[1], 'PX', ARGV[2])
local all = {}
for i = 4, #ARGV, 2 do
  table.insert(all, tonumber(redis.call('HGET', KEYS[1], ARGV[i])))
end
redis.call('DEL', KEYS[1])
return all
`)

// ReportTraffic adds what one process saw. Who holds the lock of that name, or
// takes it now until lease from now, is handed what all have reported since the
// last time; mine is false for all others.
func (b *Board) ReportTraffic(ctx context.Context, name, holder string, lease time.Duration, seen Traffic) (all Traffic, mine bool, err error) {
	args := []any{
		holder, lease.Milliseconds(), trafficTTL.Milliseconds(),
		"small", seen.Small.Number, "small_took", seen.Small.Took.Microseconds(),
		"large", seen.Large.Number, "large_took", seen.Large.Took.Microseconds(),
		"refused", seen.Refused, "failed", seen.Failed,
	}
	n, err := trafficScript.Run(ctx, b.rdb, []string{trafficKey(), lockKey(name)}, args...).Int64Slice()
	if err != nil {
		return Traffic{}, false, fmt.Errorf("report traffic: %w", err)
	}
	if len(n) != 6 {
		return Traffic{}, false, nil
	}
	return Traffic{
		Small:   Answers{n[0], time.Duration(n[1]) * time.Microsecond},
		Large:   Answers{n[2], time.Duration(n[3]) * time.Microsecond},
		Refused: n[4], Failed: n[5],
	}, true, nil
}
