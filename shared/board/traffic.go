package board

import (
	"context"
	"fmt"
	"time"

	"github.com/redis/go-redis/v9"
)

// Traffic is what the registry answered in a while.
type Traffic struct {
	Answers int64         // neither refusals nor failures
	Took    time.Duration // those, together
	Refused int64         // 429
	Failed  int64         // 5xx
}

// Add adds other traffic.
func (t *Traffic) Add(other Traffic) {
	t.Answers += other.Answers
	t.Took += other.Took
	t.Refused += other.Refused
	t.Failed += other.Failed
}

// trafficTTL is how long traffic is kept that nobody takes.
const trafficTTL = time.Minute

// trafficScript adds to the traffic, and hands all of it to the holder of the
// lock.
//
// KEYS: traffic, lock
// ARGV: holder, lease in ms, ttl in ms, then: field, number, ...
// Result: field, number, ... for the holder, else nothing
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
local all = redis.call('HMGET', KEYS[1], 'answers', 'took', 'refused', 'failed')
redis.call('DEL', KEYS[1])
return {tonumber(all[1] or 0), tonumber(all[2] or 0), tonumber(all[3] or 0), tonumber(all[4] or 0)}
`)

// ReportTraffic adds what one process saw. Who holds the lock of that name, or
// takes it now until lease from now, is handed what all have reported since the
// last time; mine is false for all others.
func (b *Board) ReportTraffic(ctx context.Context, name, holder string, lease time.Duration, seen Traffic) (all Traffic, mine bool, err error) {
	args := []any{
		holder, lease.Milliseconds(), trafficTTL.Milliseconds(),
		"answers", seen.Answers, "took", seen.Took.Microseconds(), "refused", seen.Refused, "failed", seen.Failed,
	}
	n, err := trafficScript.Run(ctx, b.rdb, []string{trafficKey(), lockKey(name)}, args...).Int64Slice()
	if err != nil {
		return Traffic{}, false, fmt.Errorf("report traffic: %w", err)
	}
	if len(n) != 4 {
		return Traffic{}, false, nil
	}
	return Traffic{Answers: n[0], Took: time.Duration(n[1]) * time.Microsecond, Refused: n[2], Failed: n[3]}, true, nil
}
