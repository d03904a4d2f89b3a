package main_test

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"regmend/shared/gitlab/gitlabtest"
	"regmend/shared/registry/registrytest"

	"github.com/redis/go-redis/v9"
)

// Whoever owns Redis may write anything into any of its keys. No process may end
// of it, and when it is emptied the work has to go on and come out right.
func TestARedisFullOfGarbageEndsNoProcess(t *testing.T) {
	t.Parallel()
	in := newInstallation(t, registrytest.Options{Latency: 5 * time.Millisecond})
	in.fill(gitlabtest.Generate(21, 400))
	in.migrate("batch_size", "10", "flush_after", "1s")
	web := in.start("web", "--listen", in.freeAddress())
	consumers := in.begin(2)
	in.start("producer")
	in.await("a part is analysed", time.Minute, func(s status) bool { return s.Completed >= s.Eligible/4 })

	client, dice := in.redisClient(), rand.New(rand.NewPCG(21, 21))
	until := time.Now().Add(12 * time.Second) // some leases long
	for rounds := 0; time.Now().Before(until) || rounds < 20; rounds++ {
		in.litter(client, dice)
		in.get(web, "/")
		in.get(web, "/queues/api/queues")
		in.try("status")
	}
	for _, p := range in.running {
		select {
		case <-p.Exited():
			t.Fatalf("%s ended:\n%s", p.name, p.Tail())
		default:
		}
	}
	if err := client.FlushAll(t.Context()).Err(); err != nil {
		t.Fatal(err)
	}
	// What was written meanwhile is not believed: that is what a new run is for.
	in.run("run", "new", "--reason", "Redis was written to by others")
	s := in.await("every project is analysed", 2*time.Minute, status.analysed)
	in.checkResults(s.Run)
	in.leave(consumers...)
}

// garbage is what no process of ours writes.
func garbage(dice *rand.Rand) string {
	all := []string{
		"", "{", "null", "[]", "-1", "1e400", "99999999999999999999", "\x1b[31m\r\n", "\xff\xfe\x00", `{"run":"x"}`, `{"generation":{}}`,
		`{"run":1,"scan":9007199254740993,"project":{"id":-1},"status":"completed"}`, `"` + strings.Repeat("x", 10_000), strings.Repeat("[", 20_000),
	}
	return all[dice.IntN(len(all))]
}

// litter spoils every key in its own way: a value, a member, or its type.
func (in *installation) litter(client *redis.Client, dice *rand.Rand) {
	in.t.Helper()
	ctx := in.t.Context()
	keys, err := client.Keys(ctx, "*").Result()
	if err != nil {
		in.t.Fatal(err)
	}
	for _, key := range keys {
		if dice.IntN(20) == 0 {
			client.Del(ctx, key)
			client.SAdd(ctx, key, garbage(dice))
			continue
		}
		// Keys end meanwhile, and are of another type: both are as good.
		switch client.Type(ctx, key).Val() {
		case "string":
			client.Set(ctx, key, garbage(dice), 0)
		case "hash":
			for field := range client.HGetAll(ctx, key).Val() {
				client.HSet(ctx, key, field, garbage(dice))
			}
			client.HSet(ctx, key, garbage(dice), garbage(dice))
		case "list":
			client.LPush(ctx, key, garbage(dice), "none:such")
		case "zset":
			client.ZAdd(ctx, key, redis.Z{Score: dice.Float64() * 1e18, Member: fmt.Sprint(garbage(dice), dice.IntN(100))})
		case "set":
			client.SAdd(ctx, key, garbage(dice))
		}
	}
}
