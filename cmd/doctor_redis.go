package cmd

import (
	"bufio"
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
)

// redisFacts are what doctor wants to know of Redis.
type redisFacts struct {
	Info      map[string]string // INFO, all sections asked for
	InfoError error             // why there is none
	Latency   time.Duration     // median of a few round trips
	Keys      int64             // in the database
	Looked    int               // how many keys were looked at
	Foreign   int               // those of them that are not regmend's
	Example   string            // one of them
	Time      time.Time         // by its clock
	Asked     time.Time         // by ours, when that had come
}

// inspectRedis reads the facts. An error means that Redis cannot be worked with.
func inspectRedis(ctx context.Context, rdb redis.UniversalClient) (facts redisFacts, err error) {
	if facts.Time, err = rdb.Time(ctx).Result(); err != nil {
		return facts, err
	}
	facts.Asked = time.Now()
	if facts.Latency, err = redisLatency(ctx, rdb); err != nil {
		return facts, err
	}
	facts.Info, facts.InfoError = redisInfo(ctx, rdb)
	if facts.Keys, err = rdb.DBSize(ctx).Result(); err != nil {
		return facts, err
	}
	return facts, facts.lookAtKeys(ctx, rdb)
}

func redisLatency(ctx context.Context, rdb redis.UniversalClient) (time.Duration, error) {
	var took []time.Duration
	for range 7 {
		begun := time.Now()
		if err := rdb.Ping(ctx).Err(); err != nil {
			return 0, err
		}
		took = append(took, time.Since(begun))
	}
	slices.Sort(took)
	return took[len(took)/2], nil
}

func redisInfo(ctx context.Context, rdb redis.UniversalClient) (map[string]string, error) {
	text, err := rdb.Info(ctx, "all").Result()
	if err != nil {
		return nil, err
	}
	return parseInfo(text), nil
}

// parseInfo reads the lines key:value of INFO.
func parseInfo(text string) map[string]string {
	info := map[string]string{}
	lines := bufio.NewScanner(strings.NewReader(text))
	for lines.Scan() {
		if key, value, ok := strings.Cut(strings.TrimSpace(lines.Text()), ":"); ok {
			info[key] = value
		}
	}
	return info
}

// keysLookedAt bounds the look at a database that may hold millions of keys.
const keysLookedAt = 10_000

func (f *redisFacts) lookAtKeys(ctx context.Context, rdb redis.UniversalClient) error {
	const page = 1000
	keys := rdb.Scan(ctx, 0, "", page).Iterator()
	for f.Looked < keysLookedAt && keys.Next(ctx) {
		f.Looked++
		if key := keys.Val(); !ownKey(key) {
			f.Foreign++
			f.Example = key
		}
	}
	return keys.Err()
}

// ownKey tells whether a key is regmend's, or asynq's on its behalf.
func ownKey(key string) bool {
	return strings.HasPrefix(key, "regmend:") || strings.HasPrefix(key, "asynq:")
}

// judgeRedis judges what was found.
func judgeRedis(f redisFacts) []finding {
	findings := []finding{judgeRedisLatency(f.Latency)}
	if f.InfoError != nil {
		findings = append(findings, warn("redis", "allow this user the command INFO (ACL +info)",
			"INFO is refused (%v): version, memory policy and persistence could not be checked", f.InfoError))
	} else {
		findings = append(findings, judgeRedisVersion(f.Info), judgeRedisRole(f.Info),
			judgeEviction(f.Info), judgeRedisMemory(f.Info), judgePersistence(f.Info))
	}
	return append(findings, judgeForeignKeys(f))
}

func judgeRedisLatency(latency time.Duration) finding {
	const slow = 5 * time.Millisecond
	if latency > slow {
		return warn("redis latency", "bring Redis nearer, or find out what slows it down",
			"a round trip takes %s; every batch takes many", latency.Round(10*time.Microsecond))
	}
	return ok("redis latency", "%s a round trip", latency.Round(10*time.Microsecond))
}

func judgeRedisVersion(info map[string]string) finding {
	version := info["redis_version"]
	if info["redis_mode"] == "cluster" {
		return fail("redis version", "use one Redis, or Sentinel", "%s, as a cluster, which regmend does not work with", version)
	}
	if !atLeast(version, 6, 2) {
		return fail("redis version", "upgrade to Redis 6.2 or later", "%s; the queue needs 6.2", shown(version))
	}
	return ok("redis version", "%s", version)
}

// atLeast compares a version such as 7.0.15 with major.minor.
func atLeast(version string, major, minor int) bool {
	first, rest, _ := strings.Cut(version, ".")
	second, _, _ := strings.Cut(rest, ".")
	a, err := strconv.Atoi(first)
	if err != nil {
		return false
	}
	b, err := strconv.Atoi(second)
	return err == nil && (a > major || (a == major && b >= minor))
}

func judgeRedisRole(info map[string]string) finding {
	if role := info["role"]; role != "master" {
		return fail("redis role", "name the master in REGMEND_REDIS_URL, or use redis+sentinel://", "%s: it cannot be written to", shown(role))
	}
	return ok("redis role", "master")
}

func judgeEviction(info map[string]string) finding {
	const subject, todo = "redis eviction", "set maxmemory-policy noeviction"
	policy := info["maxmemory_policy"]
	switch {
	case policy == "noeviction":
		return ok(subject, "noeviction")
	case info["maxmemory"] == "0":
		return warn(subject, todo, "maxmemory-policy is %s; harmless only while maxmemory is unlimited", shown(policy))
	default:
		return fail(subject, todo, "maxmemory-policy is %s: tasks would be dropped silently when memory is short", shown(policy))
	}
}

func judgeRedisMemory(info map[string]string) finding {
	const subject = "redis memory"
	used, usedErr := strconv.ParseInt(info["used_memory"], 10, 64)
	limit, limitErr := strconv.ParseInt(info["maxmemory"], 10, 64)
	switch {
	case usedErr != nil || limitErr != nil:
		return unchecked(subject, "how much is used")
	case limit == 0:
		return ok(subject, "%s used, no limit set", mebibytes(used))
	case used > limit/10*9:
		return warn(subject, "give Redis more memory; regmend itself needs less than 100 MiB", "%s of %s used", mebibytes(used), mebibytes(limit))
	default:
		return ok(subject, "%s of %s used", mebibytes(used), mebibytes(limit))
	}
}

func mebibytes(n int64) string { return fmt.Sprintf("%d MiB", n>>20) }

func judgePersistence(info map[string]string) finding {
	if info["aof_enabled"] != "1" {
		return warn("redis persistence", "set appendonly yes", "AOF is off: a restart of Redis forgets the queue, and work is done twice")
	}
	return ok("redis persistence", "AOF is on")
}

func judgeForeignKeys(f redisFacts) finding {
	const subject = "redis keys"
	if f.Foreign == 0 {
		return ok(subject, "%s, none of others among the %s looked at", counted(int(f.Keys), "key", "keys"), thousands(int64(f.Looked)))
	}
	return warn(subject, "give regmend a Redis, or at least a database number, of its own",
		"%s of the %s keys looked at are of others, such as %q", thousands(int64(f.Foreign)), thousands(int64(f.Looked)), f.Example)
}
