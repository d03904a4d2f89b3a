package claims

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/redis/go-redis/v9"
)

// stored is a claim as Redis has it.
type stored struct {
	Process    string `json:"process"` // "" for a batch that waits in its queue
	Token      int64  `json:"token"`
	Generation int    `json:"generation"`
	Runs       int    `json:"runs"`
	Payload    []byte `json:"payload"`
	Doubled    bool   `json:"doubled,omitempty"` // delivered once more meanwhile
	Offered    int64  `json:"offered,omitempty"` // last handed to requeue, in ms
}

// clock is what all scripts begin with; times are in ms of Redis' clock. Leases
// that end later than a lease from now are left by a clock that was set back.
const clock = `
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local function alive(process)
  return tonumber(redis.call('ZSCORE', KEYS[2], process) or 0) > now
end
` + legible

// legible reads a claim; what is none, which only a foreign hand can have left,
// is nil.
const legible = `
local function read(text)
  local ok, claim = pcall(cjson.decode, text or '')
  if ok and type(claim) == 'table' and type(claim.process) == 'string' and type(claim.token) == 'number'
    and type(claim.generation) == 'number' and type(claim.runs) == 'number' then
    return claim
  end
  return nil
end
`

// claimScript claims a batch and renews the process's lease, without which a
// claim would be taken for a dead one's.
//
// KEYS: claims, processes, info
// ARGV: batch name, the claim as JSON, lease in ms, info, ttl in s
// Result: the outcome, runs
var claimScript = redis.NewScript(clock + `
local claim = cjson.decode(ARGV[2])
local old = read(redis.call('HGET', KEYS[1], ARGV[1]))
claim.runs = 1
if old then
  local others = old.process ~= claim.process and alive(old.process)
  if others and old.generation >= claim.generation then
    if old.generation == claim.generation then
      old.doubled = true
      redis.call('HSET', KEYS[1], ARGV[1], cjson.encode(old))
    end
    return {1, 0}
  end
  if old.generation > claim.generation then
    return {2, 0}
  end
  claim.runs = old.runs + 1
  if old.process == claim.process and old.token == claim.token then
    claim.runs = old.runs
  end
end
redis.call('HSET', KEYS[1], ARGV[1], cjson.encode(claim))
redis.call('ZADD', KEYS[2], now + ARGV[3], claim.process)
redis.call('HSET', KEYS[3], claim.process, ARGV[4])
for _, key in ipairs(KEYS) do
  redis.call('EXPIRE', key, ARGV[5])
end
return {0, claim.runs}
`)

// ask puts the claim of w to Redis.
func (c *Claims) ask(ctx context.Context, w Work, token int64) (Outcome, int, error) {
	text, err := json.Marshal(stored{
		Process: c.process, Token: token, Generation: w.Generation, Payload: w.Payload,
	})
	if err != nil {
		return 0, 0, err
	}
	info, err := json.Marshal(c.cfg.Info)
	if err != nil {
		return 0, 0, err
	}
	args := []any{w.Name, text, c.cfg.Lease.Milliseconds(), info, int64(keyTTL.Seconds())}
	keys := []string{claimsKey(), processesKey(), infoKey()}
	reply, err := claimScript.Run(ctx, c.rdb, keys, args...).Int64Slice()
	if err != nil {
		return 0, 0, err
	}
	if len(reply) != 2 {
		return 0, 0, fmt.Errorf("redis answers with %d numbers instead of 2", len(reply))
	}
	return Outcome(reply[0]), int(reply[1]), nil
}

// endScript ends a claim of a process: it is forgotten, or the batch is left to
// the next look. The latter where the task of this generation may be gone
// though the batch is not done: it was delivered twice and one delivery was
// dropped, or Redis heard of the end late.
//
// KEYS: claims
// ARGV: batch name, process, token, 1 to put the batch back or 0
// Result: 1 if the claim was the process's, else 0
var endScript = redis.NewScript(legible + `
local claim = read(redis.call('HGET', KEYS[1], ARGV[1]))
if not (claim and claim.process == ARGV[2] and claim.token == tonumber(ARGV[3])) then
  return 0
end
if claim.doubled or ARGV[4] == '1' then
  claim.generation = claim.generation + 1
  claim.process = ''
  claim.doubled = nil
  redis.call('HSET', KEYS[1], ARGV[1], cjson.encode(claim))
else
  redis.call('HDEL', KEYS[1], ARGV[1])
end
return 1
`)

// renewScript renews the process's lease and tells which claims it lost.
//
// KEYS: claims, processes, info
// ARGV: process, lease in ms, info, ttl in s, then batch name and token of each
// Result: the tokens of the claims that are not this process's any more
var renewScript = redis.NewScript(clock + `
redis.call('ZADD', KEYS[2], now + ARGV[2], ARGV[1])
redis.call('HSET', KEYS[3], ARGV[1], ARGV[3])
redis.call('EXPIRE', KEYS[2], ARGV[4])
redis.call('EXPIRE', KEYS[3], ARGV[4])
local lost = {}
for i = 5, #ARGV, 2 do
  local claim = read(redis.call('HGET', KEYS[1], ARGV[i]))
  if not (claim and claim.process == ARGV[1] and claim.token == tonumber(ARGV[i + 1])) then
    table.insert(lost, tonumber(ARGV[i + 1]))
  end
end
return lost
`)

// renew renews the lease and returns the tokens of the claims that are lost.
func (c *Claims) renew(ctx context.Context, held map[int64]string) ([]int64, error) {
	info, err := json.Marshal(c.cfg.Info)
	if err != nil {
		return nil, err
	}
	args := []any{c.process, c.cfg.Lease.Milliseconds(), info, int64(keyTTL.Seconds())}
	for token, name := range held {
		args = append(args, name, token)
	}
	keys := []string{claimsKey(), processesKey(), infoKey()}
	return renewScript.Run(ctx, c.rdb, keys, args...).Int64Slice()
}

// lookScript finds the batches that have to be put back into their queues. It
// raises their generation and takes the dead process off, so that they are
// found once; those that nobody claims afterwards are found again.
//
// A task that runs without a claim, in this look and the one before, was killed
// before it could claim, or its delivery was lost on the way.
//
// KEYS: claims, processes, info, unclaimed
// ARGV: lease, time until a batch is found again, life of unclaimed, all in ms;
// the running tasks as a JSON array of claims with name and generation
// Result: name, claim as JSON of each batch
var lookScript = redis.NewScript(clock + `
local ends = now + ARGV[1]
for _, process in ipairs(redis.call('ZRANGEBYSCORE', KEYS[2], '(' .. ends, '+inf')) do
  redis.call('ZADD', KEYS[2], ends, process)
end
for _, process in ipairs(redis.call('ZRANGEBYSCORE', KEYS[2], '-inf', now)) do
  redis.call('ZREM', KEYS[2], process)
  redis.call('HDEL', KEYS[3], process)
end

local found, claims = {}, {}
local function offer(name, claim)
  claim.process = ''
  claim.doubled = nil
  claim.offered = now
  claims[name] = claim
  local text = cjson.encode(claim)
  redis.call('HSET', KEYS[1], name, text)
  table.insert(found, name)
  table.insert(found, text)
end

local list = redis.call('HGETALL', KEYS[1])
for i = 1, #list, 2 do
  local claim = read(list[i + 1])
  claims[list[i]] = claim
  if not claim then
    redis.call('HDEL', KEYS[1], list[i])
  elseif claim.process ~= '' and not alive(claim.process) then
    claim.generation = claim.generation + 1
    offer(list[i], claim)
  elseif claim.process == '' and math.abs(now - (tonumber(claim.offered) or 0)) >= tonumber(ARGV[2]) then
    offer(list[i], claim)
  end
end

local unclaimed = {}
for _, task in ipairs(cjson.decode(ARGV[4])) do
  local claim = claims[task.name]
  if not claim or (claim.process == '' and claim.generation <= task.generation) then
    local id = task.name .. '.' .. string.format('%d', task.generation)
    if redis.call('SISMEMBER', KEYS[4], id) == 1 then
      offer(task.name, {
        token = 0,
        generation = task.generation + 1,
        runs = claim and claim.runs or 0,
        payload = task.payload,
      })
    else
      table.insert(unclaimed, id)
    end
  end
end
redis.call('DEL', KEYS[4])
for _, id in ipairs(unclaimed) do
  redis.call('SADD', KEYS[4], id)
end
redis.call('PEXPIRE', KEYS[4], ARGV[3])
return found
`)

// running is a task as lookScript is told of it.
type running struct {
	Name       string `json:"name"`
	Generation int    `json:"generation"`
	Payload    []byte `json:"payload"`
}

// look finds the batches to put back, of which active are running tasks.
func (c *Claims) look(ctx context.Context, active []Work) ([]Work, error) {
	tasks := make([]running, 0, len(active))
	for _, w := range active {
		tasks = append(tasks, running(w))
	}
	text, err := json.Marshal(tasks)
	if err != nil {
		return nil, err
	}
	args := []any{c.cfg.Lease.Milliseconds(), 2 * c.cfg.Look.Milliseconds(), 3 * c.cfg.Look.Milliseconds(), text}
	keys := []string{claimsKey(), processesKey(), infoKey(), unclaimedKey()}
	reply, err := lookScript.Run(ctx, c.rdb, keys, args...).StringSlice()
	if err != nil {
		return nil, err
	}
	var found []Work
	for i := 0; i+1 < len(reply); i += 2 {
		var s stored
		if json.Unmarshal([]byte(reply[i+1]), &s) != nil {
			// Foreign, as its payload is; left, it would be found for ever.
			if err := c.rdb.HDel(ctx, claimsKey(), reply[i]).Err(); err != nil {
				return nil, fmt.Errorf("drop the claim of batch %s: %w", reply[i], err)
			}
			continue
		}
		found = append(found, Work{Name: reply[i], Generation: s.Generation, Payload: s.Payload})
	}
	return found, nil
}

// passScript passes over a generation whose task has ended, though the batch
// was to be put back with it.
//
// A batch that somebody had begun goes on with the next generation. One that
// nobody had stands for a task that the queue believes to be running, without a
// claim, as one stays behind that was done when Redis was away: the generation
// after it has been through, and nothing is left to do.
//
// KEYS: claims; ARGV: batch name, generation
var passScript = redis.NewScript(legible + `
local claim = read(redis.call('HGET', KEYS[1], ARGV[1]))
if not claim or claim.process ~= '' or claim.generation ~= tonumber(ARGV[2]) then
  return 0
end
if claim.runs == 0 then
  return redis.call('HDEL', KEYS[1], ARGV[1])
end
claim.generation = claim.generation + 1
claim.offered = 0
redis.call('HSET', KEYS[1], ARGV[1], cjson.encode(claim))
return 1
`)

// pass passes over the generation of w.
func (c *Claims) pass(ctx context.Context, w Work) error {
	return passScript.Run(ctx, c.rdb, []string{claimsKey()}, w.Name, w.Generation).Err()
}
