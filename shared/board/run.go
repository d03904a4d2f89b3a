package board

import (
	"context"
	"fmt"
	"strconv"

	"github.com/redis/go-redis/v9"
)

// RunMark is the run Redis knows and the highest scan number seen in it; zero
// when Redis knows none.
type RunMark struct{ Run, Scan int64 }

// raiseScript raises the mark within its run, and lets a later run replace it:
// whoever began that run may have died before saying so here.
//
// KEYS: run; ARGV: run, scan number
// Result: run and scan number that are noted now
var raiseScript = redis.NewScript(`
local function noted(field)
  local text = redis.call('HGET', KEYS[1], field) or '0'
  return string.match(text, '^%d+$') and tonumber(text)
end
local run, scan = noted('run'), noted('scan')
if not run or not scan or tonumber(ARGV[1]) > run
  or (run == tonumber(ARGV[1]) and tonumber(ARGV[2]) > scan) then
  redis.call('HSET', KEYS[1], 'run', ARGV[1], 'scan', ARGV[2])
end
return redis.call('HMGET', KEYS[1], 'run', 'scan')
`)

// RunMark tells the mark.
func (b *Board) RunMark(ctx context.Context) (RunMark, error) {
	reply, err := b.rdb.HMGet(ctx, runKey(), "run", "scan").Result()
	if err != nil {
		return RunMark{}, fmt.Errorf("run known to redis: %w", err)
	}
	return parseRunMark(reply), nil
}

// Raise notes the run if none or an earlier one is known, and the scan number
// if it is higher than the one noted. A later run's mark is left as it is. It
// returns the mark that is noted afterwards, so a run that differs from m's was
// refused.
func (b *Board) Raise(ctx context.Context, m RunMark) (RunMark, error) {
	reply, err := raiseScript.Run(ctx, b.rdb, []string{runKey()}, m.Run, m.Scan).Slice()
	if err != nil {
		return RunMark{}, fmt.Errorf("raise the mark of run %d to scan %d: %w", m.Run, m.Scan, err)
	}
	return parseRunMark(reply), nil
}

// Begin replaces the mark and drops every hold, the witness, the control and what
// is known of the catalog: a new run begins.
func (b *Board) Begin(ctx context.Context, m RunMark) error {
	drop := append(holdKeys(), controlKey(), witnessKey(), catalogKey())
	_, err := b.rdb.TxPipelined(ctx, func(tx redis.Pipeliner) error {
		tx.HSet(ctx, runKey(), "run", m.Run, "scan", m.Scan)
		tx.Del(ctx, drop...)
		return nil
	})
	if err != nil {
		return fmt.Errorf("begin run %d: %w", m.Run, err)
	}
	return nil
}

// parseRunMark reads a mark. One that is no pair of numbers, which only a
// foreign hand can have left, is none.
func parseRunMark(reply []any) RunMark {
	var numbers [2]int64
	for i := range min(len(reply), len(numbers)) {
		text, _ := reply[i].(string)
		n, err := strconv.ParseInt(text, 10, 64)
		if err != nil {
			return RunMark{}
		}
		numbers[i] = n
	}
	return RunMark{Run: numbers[0], Scan: numbers[1]}
}
