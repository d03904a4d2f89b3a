package stash

import "github.com/redis/go-redis/v9"

// All scripts of the stash have
// KEYS: results, order, size (see keys.go)
// and those that return a state: entries, bytes, age in ms.

// stateOf is the part they share. since is kept in whole ms; an entry that is
// in the stash for less than that is 0 ms old.
const stateOf = `
local results, order, size = KEYS[1], KEYS[2], KEYS[3]
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
-- What is no whole number was written by a foreign hand.
local function number(text)
  return text and string.match(text, '^%d+$') and #text < 16 and tonumber(text)
end
local function state()
  local entries = redis.call('ZCARD', order)
  if entries == 0 then
    return {0, 0, 0}
  end
  local bytes = number(redis.call('HGET', size, 'bytes')) or 0
  local since = number(redis.call('HGET', size, 'since')) or now
  return {entries, bytes, math.max(0, now - since)}
end
`

// stateScript has no ARGV. Result: the state.
var stateScript = redis.NewScript(stateOf + `
return state()
`)

// putScript stashes entries, all or none.
//
// ARGV: most entries, most bytes, then field, scan, value of each
// Result: the state, then 1 if it was full, else 0
var putScript = redis.NewScript(stateOf + `
local before = redis.call('ZCARD', order)
if before == 0 then
  -- Remains of a half-lost stash would be counted for ever.
  redis.call('DEL', results, size)
end

local taken, more, bytes = {}, 0, 0
for i = 3, #ARGV, 3 do
  local field, scan, value = ARGV[i], ARGV[i + 1], ARGV[i + 2]
  local present = redis.call('ZSCORE', order, field)
  if not present then
    more = more + 1
    bytes = bytes + #field + #value
    table.insert(taken, i)
  elseif tonumber(scan) > tonumber(present) then
    bytes = bytes + #value - redis.call('HSTRLEN', results, field)
    table.insert(taken, i)
  end
end

local total = (number(redis.call('HGET', size, 'bytes')) or 0) + bytes
local over = more > 0 and before + more > tonumber(ARGV[1])
  or bytes > 0 and total > tonumber(ARGV[2])
local answer
if over and before > 0 then
  answer = state()
  table.insert(answer, 1)
  return answer
end

for _, i in ipairs(taken) do
  redis.call('HSET', results, ARGV[i], ARGV[i + 2])
  redis.call('ZADD', order, ARGV[i + 1], ARGV[i])
end
if #taken > 0 then
  redis.call('HSET', size, 'bytes', total)
  if not number(redis.call('HGET', size, 'since')) then
    redis.call('HSET', size, 'since', now)
  end
end
for _, key in ipairs(KEYS) do
  redis.call('EXPIRE', key, 7 * 24 * 3600)
end
answer = state()
table.insert(answer, 0)
return answer
`)

// oldestScript reads entries, lowest scan numbers first, and drops fields that
// have lost their value.
//
// ARGV: most entries, most bytes
// Result: field, scan, value of each
var oldestScript = redis.NewScript(stateOf + `
local found, bytes = {}, 0
local list = redis.call('ZRANGE', order, 0, ARGV[1] - 1, 'WITHSCORES')
for i = 1, #list, 2 do
  local value = redis.call('HGET', results, list[i])
  if value then
    bytes = bytes + #value
    if #found > 0 and bytes > tonumber(ARGV[2]) then
      break
    end
    table.insert(found, list[i])
    table.insert(found, list[i + 1])
    table.insert(found, value)
  else
    redis.call('ZREM', order, list[i])
  end
end
return found
`)

// ackScript removes entries that still have the scan number given. What it
// leaves begins to wait anew.
//
// ARGV: field, scan of each
// Result: how many were removed
var ackScript = redis.NewScript(stateOf + `
local removed, bytes = 0, 0
for i = 1, #ARGV, 2 do
  local field = ARGV[i]
  local present = redis.call('ZSCORE', order, field)
  if present and tonumber(present) == tonumber(ARGV[i + 1]) then
    bytes = bytes + #field + redis.call('HSTRLEN', results, field)
    redis.call('HDEL', results, field)
    redis.call('ZREM', order, field)
    removed = removed + 1
  end
end
if redis.call('ZCARD', order) == 0 then
  redis.call('DEL', results, order, size)
elseif removed > 0 then
  local left = math.max(0, (number(redis.call('HGET', size, 'bytes')) or 0) - bytes)
  redis.call('HSET', size, 'bytes', left, 'since', now)
end
return removed
`)
