package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"
)

// usage is what a process took so far.
type usage struct {
	PeakMemory int64 // bytes resident
	CPU        time.Duration
}

// usageOf reads it where Linux tells it.
func usageOf(pid int) (u usage, err error) {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return u, err
	}
	for line := range bytes.Lines(status) {
		if rest, ok := strings.CutPrefix(string(line), "VmHWM:"); ok {
			kilobytes, err := strconv.ParseInt(strings.Fields(rest)[0], 10, 64)
			if err != nil {
				return u, err
			}
			u.PeakMemory = kilobytes << 10
		}
	}
	u.CPU, err = cpuOf(pid)
	return u, err
}

// tick is Linux' unit of a process's time on every architecture that Go knows.
const tick = 10 * time.Millisecond

func cpuOf(pid int) (time.Duration, error) {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, err
	}
	// The name, in parentheses, may hold anything.
	fields := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:]))
	var total time.Duration
	const user, system = 11, 12
	for _, field := range []string{fields[user], fields[system]} {
		ticks, err := strconv.ParseInt(field, 10, 64)
		if err != nil {
			return 0, err
		}
		total += time.Duration(ticks) * tick
	}
	return total, nil
}

// work is what Postgres and Redis did.
type work struct {
	Statements int64 `db:"statements"`
	Buffers    int64 `db:"buffers"`
	// RoundTrips are Redis': what it read from its clients, a pipeline once.
	RoundTrips int64
	// RedisPeak is the most memory that Redis had.
	RedisPeak int64
}

// The bench's own questions are of no contestant.
const selectWork = `
SELECT coalesce(sum(calls), 0)::bigint AS statements,
       coalesce(sum(shared_blks_hit + shared_blks_read), 0)::bigint AS buffers
FROM pg_stat_statements
WHERE dbid = (SELECT oid FROM pg_database WHERE datname = current_database())
  AND query NOT LIKE '%pg_stat_statements%' AND query NOT LIKE '%pg_xact_commit_timestamp%'
  AND query NOT LIKE 'SELECT count(*) FROM regmend.data_repair_details WHERE%'`

// count tells what was done so far.
func (in *installation) count(ctx context.Context) (w work, err error) {
	if err := in.sql.GetContext(ctx, &w, selectWork); err != nil {
		return w, err
	}
	info, err := in.rdb.InfoMap(ctx, "stats", "memory").Result()
	if err != nil {
		return w, err
	}
	if w.RoundTrips, err = strconv.ParseInt(info["Stats"]["total_reads_processed"], 10, 64); err != nil {
		return w, err
	}
	w.RedisPeak, err = strconv.ParseInt(info["Memory"]["used_memory_peak"], 10, 64)
	return w, err
}

// since tells what was done since before.
func (in *installation) since(ctx context.Context, before work) (work, error) {
	now, err := in.count(ctx)
	now.Statements -= before.Statements
	now.Buffers -= before.Buffers
	now.RoundTrips -= before.RoundTrips
	return now, err
}
