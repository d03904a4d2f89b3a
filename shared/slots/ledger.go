package slots

import (
	"fmt"
	"strconv"
	"time"
)

// ledgerScript is the part of syncScript that hands out rights to send
// requests. Time is cut into ticks, and the ledger knows how many rights of each
// tick to come were taken. A process that holds slots gets its share of them as
// the ticks come into sight; what is left shortly before goes to whoever has
// requests that wait.
//
// Another rate has other ticks. They begin so much later than the last right of
// the old ones that no second can see more than the larger rate allows. A ledger
// that is lost, or cannot be one (a foreign hand, a clock that was set back),
// counts as one of which everything was handed out that can have been.
const ledgerScript = `
local function sound(ledger, ask, now)
  local ahead = now + ask.ahead
  return type(ledger) == 'table' and type(ledger.rate) == 'number' and type(ledger.taken) == 'table'
    and type(ledger.anchor) == 'number' and ledger.anchor <= ahead + 3 * ask.period
    and type(ledger.last) == 'number' and ledger.last <= ahead + 100
    and type(ledger.last_step) == 'number'
end

local function share_out(key, ask, now, share)
  if ask.rate == 0 then
    redis.call('DEL', key)
    return {}
  end
  local each = math.ceil(ask.rate / ask.ticks)
  local step = ask.period / math.floor(ask.rate / each)

  local legible, ledger = pcall(cjson.decode, redis.call('GET', key) or '')
  if not legible or not sound(ledger, ask, now) then
    ledger = {rate = 0, last = now + ask.ahead, last_step = step}
  end
  if ledger.rate ~= ask.rate then
    ledger.anchor = math.max(now, math.ceil(ledger.last + ledger.last_step + step))
    ledger.rate, ledger.taken = ask.rate, {}
  end
  local anchor = ledger.anchor

  -- Those just past stay, lest a clock that is set back a little hand them out
  -- again.
  local taken = {}
  for tick, n in pairs(ledger.taken) do
    if type(n) == 'number' and anchor + (tonumber(tick) or 0) * step >= now - 2000 then
      taken[tick] = n
    end
  end

  local answer = {now + ask.ahead}
  local function take(tick, wanted)
    local name = string.format('%d', tick)
    local n = math.min(wanted, each - (taken[name] or 0))
    if n <= 0 then
      return 0
    end
    local at = math.ceil(anchor + tick * step)
    taken[name] = (taken[name] or 0) + n
    if at > ledger.last then
      ledger.last, ledger.last_step = at, step
    end
    table.insert(answer, at - now)
    table.insert(answer, n)
    return n
  end
  local function tick_at(time)
    return math.floor((time - anchor) / step)
  end

  local first = math.max(0, math.ceil((now - anchor) / step))
  local credit, blocked = ask.credit, ask.blocked
  for tick = math.max(first, tick_at(ask.from) + 1), tick_at(now + ask.ahead) do
    credit = math.min(credit + share * each, 2 * each)
    local n = take(tick, math.floor(credit + 0.000001))
    credit = credit - n
    blocked = blocked - n
  end
  for tick = first, tick_at(now + ask.near) do
    if blocked > 0 and share > 0 then
      blocked = blocked - take(tick, blocked)
    end
  end

  ledger.taken = taken
  redis.call('SET', key, cjson.encode(ledger))
  table.insert(answer, 2, tostring(credit))
  return answer
end
`

// budgetQuestion is what a process asks of the ledger; times are in
// milliseconds.
type budgetQuestion struct {
	Rate    int     `json:"rate"`
	Ticks   int     `json:"ticks"`  // a second
	Period  int64   `json:"period"` // over which a second's rights are spread
	Ahead   int64   `json:"ahead"`
	Near    int64   `json:"near"`
	From    int64   `json:"from"`
	Credit  float64 `json:"credit"`
	Blocked int     `json:"blocked"`
}

// budgetAnswer is the rights handed out, and what to ask with next time.
type budgetAnswer struct {
	from    int64
	credit  float64
	granted []grantedRight
}

type grantedRight struct {
	in       time.Duration // from the moment Redis answered
	requests int
}

func parseBudget(part []any) (budgetAnswer, error) {
	if len(part) == 0 {
		return budgetAnswer{}, nil
	}
	if len(part)%2 != 0 {
		return budgetAnswer{}, fmt.Errorf("a budget of %d parts", len(part))
	}
	from, _ := part[0].(int64)
	text, _ := part[1].(string)
	credit, err := strconv.ParseFloat(text, 64)
	if err != nil {
		return budgetAnswer{}, fmt.Errorf("the budget's credit: %w", err)
	}
	a := budgetAnswer{from: from, credit: credit}
	for i := 2; i < len(part); i += 2 {
		in, _ := part[i].(int64)
		n, _ := part[i+1].(int64)
		a.granted = append(a.granted, grantedRight{in: time.Duration(in) * time.Millisecond, requests: int(n)})
	}
	return a, nil
}
