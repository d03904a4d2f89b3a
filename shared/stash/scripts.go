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
-- Calls a command for its arguments, of which so many belong together, with no
-- more at a time than Lua can pass. reply gets each answer.
local function call(before, args, together, reply)
  local most = 999 * together
  for from = 1, #args, most do
    local part = {unpack(before)}
    for i = from, math.min(from + most - 1, #args) do
      table.insert(part, args[i])
    end
    local answer = redis.call(unpack(part))
    if reply then
      reply(answer)
    end
  end
end
-- The scores of fields, false for those that are not there.
local function scores(fields)
  local all = {}
  call({'ZMSCORE', order}, fields, 1, function(answer)
    for i = 1, #answer do
      table.insert(all, answer[i])
    end
  end)
  return all
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

local fields = {}
for i = 3, #ARGV, 3 do
  table.insert(fields, ARGV[i])
end
local standing = scores(fields)
local values, numbers, more, bytes = {}, {}, 0, 0
for n, field in ipairs(fields) do
  local scan, value, present = ARGV[3 * n + 1], ARGV[3 * n + 2], standing[n]
  local newer = present and tonumber(scan) > tonumber(present)
  if not present then
    more = more + 1
    bytes = bytes + #field + #value
  elseif newer then
    bytes = bytes + #value - redis.call('HSTRLEN', results, field)
  end
  if newer or not present then
    table.insert(values, field)
    table.insert(values, value)
    table.insert(numbers, scan)
    table.insert(numbers, field)
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

call({'HSET', results}, values, 2)
call({'ZADD', order}, numbers, 2)
if #values > 0 then
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
local found, gone, bytes = {}, {}, 0
local list = redis.call('ZRANGE', order, 0, ARGV[1] - 1, 'WITHSCORES')
local fields = {}
for i = 1, #list, 2 do
  table.insert(fields, list[i])
end
-- Few at a time: they may be large.
for from = 1, #fields, 10 do
  local to = math.min(from + 9, #fields)
  local values = redis.call('HMGET', results, unpack(fields, from, to))
  for n = from, to do
    local value = values[n - from + 1]
    if not value then
      table.insert(gone, fields[n])
    elseif #found > 0 and bytes + #value > tonumber(ARGV[2]) then
      call({'ZREM', order}, gone, 1)
      return found
    else
      bytes = bytes + #value
      table.insert(found, fields[n])
      table.insert(found, list[2 * n])
      table.insert(found, value)
    end
  end
end
call({'ZREM', order}, gone, 1)
return found
`)

// ackScript removes entries that still have the scan number given. What it
// leaves begins to wait anew.
//
// ARGV: field, scan of each
// Result: how many were removed
var ackScript = redis.NewScript(stateOf + `
local fields, written, bytes = {}, {}, 0
for i = 1, #ARGV, 2 do
  table.insert(fields, ARGV[i])
end
local standing = scores(fields)
for n, field in ipairs(fields) do
  if standing[n] and tonumber(standing[n]) == tonumber(ARGV[2 * n]) then
    bytes = bytes + #field + redis.call('HSTRLEN', results, field)
    table.insert(written, field)
  end
end
call({'HDEL', results}, written, 1)
call({'ZREM', order}, written, 1)
if redis.call('ZCARD', order) == 0 then
  redis.call('DEL', results, order, size)
elseif #written > 0 then
  local left = math.max(0, (number(redis.call('HGET', size, 'bytes')) or 0) - bytes)
  redis.call('HSET', size, 'bytes', left, 'since', now)
end
return #written
`)
