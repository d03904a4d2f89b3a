package main_test

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"regmend/shared/gitlab/gitlabtest"
	"regmend/shared/registry/registrytest"
	"regmend/shared/servers"
)

// Everything dies once or more, at moments that the seed chooses; what comes
// out is what the oracle says, and the registry never sees more than the cap.
func TestChaosInSmall(t *testing.T) {
	t.Parallel()
	const seed = 11
	postgres := newPostgres(t)
	in := installationOn(t, gitlabOn(t, postgres), registrytest.Options{Latency: 5 * time.Millisecond})
	in.fill(gitlabtest.Generate(seed, 3_000))
	in.migrate("max_concurrency", "4", "lap_interval", "1s", "batch_size", "50", "flush_after", "1s")
	c := &chaos{installation: in, Rand: rand.New(rand.NewPCG(seed, seed)), postgres: postgres}
	c.producers = append(c.producers, c.producer(), c.producer())
	c.consumers = in.begin(3)

	began := time.Now()
	events := []func(){
		c.killConsumer, c.killConsumer, c.killConsumer, c.killConsumer,
		c.loseRedis, c.crashPostgres, c.stopLeader, c.stopConsumer,
	}
	c.Shuffle(len(events), func(i, j int) { events[i], events[j] = events[j], events[i] })
	for i, event := range events {
		share := (float64(i) + c.Float64()) / float64(len(events)+1)
		in.await(fmt.Sprintf("%.0f %% are analysed", 100*share), time.Minute, func(s status) bool {
			return float64(s.Completed) >= share*float64(s.Eligible)
		})
		event()
	}
	s := in.await("every project is analysed", time.Minute, status.analysed)
	in.tell(began)
	in.checkResults(s.Run)
	in.checkTotals(s)
	in.checkCap(4)
}

// chaos is what dies.
type chaos struct {
	*installation
	*rand.Rand
	postgres  *servers.Postgres
	producers []*process
	consumers []*process
}

func (c *chaos) producer() *process {
	return c.start("producer", "--interval", "1s", "--metrics-listen", c.freeAddress())
}

func (c *chaos) consumer() *process {
	return c.start("consumer", "--metrics-listen", c.freeAddress())
}

func (c *chaos) killConsumer() {
	i := c.IntN(len(c.consumers))
	c.t.Logf("kill -9 %s", c.consumers[i].name)
	c.kill(c.consumers[i])
	c.consumers[i] = c.consumer()
}

// stopConsumer replaces one that leaves as it should.
func (c *chaos) stopConsumer() {
	i := c.IntN(len(c.consumers))
	c.t.Logf("SIGTERM %s", c.consumers[i].name)
	c.leave(c.consumers[i])
	c.consumers[i] = c.consumer()
}

// stopLeader stops the producer that leads; the other one takes over.
func (c *chaos) stopLeader() {
	leader := -1
	c.eventually("a producer leads", 30*time.Second, func() (bool, string) {
		for i, p := range c.producers {
			if c.metric(p, "regmend_producer_leads") == 1 {
				leader = i
			}
		}
		return leader >= 0, ""
	})
	c.t.Logf("SIGTERM %s, which leads", c.producers[leader].name)
	c.leave(c.producers[leader])
	other := c.producers[1-leader]
	c.eventually("the other producer leads", 5*time.Second, func() (bool, string) {
		return c.metric(other, "regmend_producer_leads") == 1, ""
	})
	c.producers[leader] = c.producer()
}

// loseRedis restarts it with nothing in it.
func (c *chaos) loseRedis() {
	c.t.Log("Redis loses everything")
	if err := c.redis.Kill(); err != nil {
		c.t.Fatal(err)
	}
	if err := c.redis.Restart(c.t.Context()); err != nil {
		c.t.Fatal(err)
	}
}

// crashPostgres crashes it, as without power; it recovers when it starts.
func (c *chaos) crashPostgres() {
	c.t.Log("Postgres crashes")
	if err := c.postgres.Kill(); err != nil {
		c.t.Fatal(err)
	}
	if err := c.postgres.Restart(c.t.Context()); err != nil {
		c.t.Fatal(err)
	}
}
