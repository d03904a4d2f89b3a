package slots

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/redis/go-redis/v9"
)

// idleTTL is long after the last lease ended, and short enough that nothing of
// an uninstalled regmend stays.
const idleTTL = 24 * time.Hour

// awayAfter is how many polls a waiting process may miss before it is no
// longer waited for.
const awayAfter = 20

// syncScript renews, gives back and grants, all in one round trip.
//
// KEYS: epoch, held, age, waiting, seen, budget (see keys.go)
// ARGV: one question as JSON
// Result: granted (token, age, token, age, ...), lost tokens, surplus tokens of
// whatever process, rights to send (until when they were shared out in ms of
// Redis' clock, credit, then: ms from now, requests, ...; none without a rate)
//
// A clock of the server that is set back must not make leases longer than a
// lease, so they are cut to that. One set forward by more than a lease ends all
// leases early; the holders hear it at their next renewal.
var syncScript = redis.NewScript(ledgerScript + `
local epoch, held, age, waiting, seen, budget = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5], KEYS[6]
local ask = cjson.decode(ARGV[1])
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local ends = now + ask.lease

-- Another server, a restarted one or an emptied one may lack slots that are
-- held. Those that it does know may be long over: all begin anew.
local run_id = string.match(redis.call('INFO', 'server'), 'run_id:(%w+)')
if not run_id then
  return redis.error_reply('INFO server tells no run_id')
end
if redis.call('HGET', epoch, 'run_id') ~= run_id then
  redis.call('DEL', held, age, waiting, seen, budget)
  redis.call('HSET', epoch, 'run_id', run_id, 'quiet_until', ends)
end
local quiet_until = math.min(tonumber(redis.call('HGET', epoch, 'quiet_until') or 0), ends)
local grants = tonumber(redis.call('HGET', epoch, 'grants') or 0)
local quiet = now < quiet_until

local function free(token)
  redis.call('ZREM', held, token)
  redis.call('ZREM', age, token)
end
local function hold(token, number)
  redis.call('ZADD', held, ends, token)
  redis.call('ZADD', age, number, token)
end

for _, token in ipairs(ask.back) do
  free(token)
end

local lost = {}
for _, slot in ipairs(ask.held) do
  if quiet or redis.call('ZSCORE', held, slot.token) then
    hold(slot.token, slot.age)
    grants = math.max(grants, slot.age)
  else
    table.insert(lost, slot.token)
  end
end

for _, token in ipairs(redis.call('ZRANGEBYSCORE', held, '(' .. ends, '+inf')) do
  redis.call('ZADD', held, ends, token)
end
for _, token in ipairs(redis.call('ZRANGEBYSCORE', held, '-inf', now)) do
  free(token)
end

for _, process in ipairs(redis.call('ZRANGEBYSCORE', seen, '-inf', now)) do
  redis.call('ZREM', waiting, process)
  redis.call('ZREM', seen, process)
end

-- Those who lost patience before this process did have a slot each put aside.
local room = ask.limit - redis.call('ZCARD', held)
local since = math.min(tonumber(redis.call('ZSCORE', waiting, ask.process) or now), now)
room = room - redis.call('ZCOUNT', waiting, '-inf', '(' .. math.min(now - ask.patience, since))

local granted = {}
local unmet = false
for _, token in ipairs(ask.wanted) do
  local number = redis.call('ZSCORE', age, token)
  if not number and room > 0 and not quiet then
    grants = grants + 1
    number = grants
    room = room - 1
  end
  if number then
    hold(token, number)
    table.insert(granted, token)
    table.insert(granted, tonumber(number))
  else
    unmet = true
  end
end

if unmet then
  redis.call('ZADD', waiting, #granted > 0 and now or since, ask.process)
  redis.call('ZADD', seen, now + ask.away, ask.process)
else
  redis.call('ZREM', waiting, ask.process)
  redis.call('ZREM', seen, ask.process)
end

local surplus = {}
local over = redis.call('ZCARD', held) - ask.limit
if over > 0 then
  surplus = redis.call('ZREVRANGE', age, 0, over - 1)
end

local mine = #ask.held - #lost + #granted / 2
local rights = share_out(budget, ask.budget, now, mine / math.max(1, redis.call('ZCARD', held)))

redis.call('HSET', epoch, 'grants', grants, 'quiet_until', quiet_until)
for _, key in ipairs(KEYS) do
  redis.call('PEXPIRE', key, ask.ttl)
end
return {granted, lost, surplus, rights}
`)

// inUseScript counts the slots whose lease has not ended.
//
// KEYS: held
// Result: the number
var inUseScript = redis.NewScript(`
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
return redis.call('ZCOUNT', KEYS[1], '(' .. now, '+inf')
`)

// question is what one look asks of Redis; times are in milliseconds.
type question struct {
	Process  string     `json:"process"`
	Limit    int        `json:"limit"`
	Lease    int64      `json:"lease"`
	Patience int64      `json:"patience"`
	Away     int64      `json:"away"`
	TTL      int64      `json:"ttl"`
	Held     []heldSlot `json:"held"`
	Back     []string   `json:"back"`
	Wanted   []string   `json:"wanted"`

	Budget budgetQuestion `json:"budget"`
}

type heldSlot struct {
	Token string `json:"token"`
	Age   int64  `json:"age"`
}

// answer is what Redis says to a question.
type answer struct {
	granted []heldSlot
	lost    []string
	surplus []string
	rights  budgetAnswer
}

// put asks the question.
func (q question) put(ctx context.Context, rdb redis.UniversalClient, keys keyspace) (answer, error) {
	text, err := json.Marshal(q)
	if err != nil {
		return answer{}, err
	}
	reply, err := syncScript.Run(ctx, rdb, keys.all(), text).Slice()
	if err != nil {
		return answer{}, err
	}
	return parseAnswer(reply)
}

func parseAnswer(reply []any) (answer, error) {
	if len(reply) != 4 {
		return answer{}, fmt.Errorf("answer of %d parts", len(reply))
	}
	var parts [4][]any
	for i := range parts {
		part, ok := reply[i].([]any)
		if !ok {
			return answer{}, fmt.Errorf("part %d of the answer is a %T", i, reply[i])
		}
		parts[i] = part
	}
	a := answer{lost: words(parts[1]), surplus: words(parts[2])}
	for i := 0; i+1 < len(parts[0]); i += 2 {
		token, _ := parts[0][i].(string)
		age, _ := parts[0][i+1].(int64)
		a.granted = append(a.granted, heldSlot{Token: token, Age: age})
	}
	var err error
	a.rights, err = parseBudget(parts[3])
	return a, err
}

func words(part []any) []string {
	list := make([]string, 0, len(part))
	for _, element := range part {
		word, _ := element.(string)
		list = append(list, word)
	}
	return list
}
