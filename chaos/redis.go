package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strconv"
	"sync"
	"time"

	"regmend/shared/servers"
	"regmend/shared/servers/proxy"

	"github.com/redis/go-redis/v9"
)

// redisMaster is Sentinel's name for whichever server is the master.
const redisMaster = "main"

// redisSide is a master and its replica, each behind a proxy by which alone the
// others know it, and a Sentinel behind a third one.
type redisSide struct {
	nodes            [2]*redisNode
	sentinel         *servers.Sentinel
	sentinelProxy    *proxy.Proxy
	sentinelClient   *redis.SentinelClient
	password         string
	sentinelPassword string

	mu     sync.Mutex
	leads  int // the node that is the master
	losses []time.Time
}

// startRedis starts all of it; the Redis of the plain asynq is the same.
func (in *installation) startRedis(ctx context.Context) (*redisSide, error) {
	r := &redisSide{
		password:         in.secret("password of Redis"),
		sentinelPassword: in.secret("password of Sentinel"),
	}
	if err := r.start(ctx, in); err != nil {
		return nil, errors.Join(err, r.stop())
	}
	return r, nil
}

func (r *redisSide) start(ctx context.Context, in *installation) error {
	for i := range r.nodes {
		dir, err := in.folder("redis" + strconv.Itoa(i+1))
		if err != nil {
			return err
		}
		if r.nodes[i], err = startNode(ctx, dir, r.password); err != nil {
			return err
		}
	}
	if err := r.replica().follow(ctx, r.master()); err != nil {
		return err
	}
	dir, err := in.folder("sentinel")
	if err != nil {
		return err
	}
	if err := r.startSentinel(ctx, dir); err != nil {
		return err
	}
	return r.whole(ctx)
}

// startSentinel starts one that takes no outage of the harness' for a death.
func (r *redisSide) startSentinel(ctx context.Context, dir string) (err error) {
	set := "sentinel %s " + redisMaster + " %v"
	r.sentinel, err = servers.StartSentinel(ctx, dir, r.master().proxy.Addr(), redisMaster,
		"requirepass "+r.sentinelPassword,
		fmt.Sprintf(set, "auth-pass", r.password),
		fmt.Sprintf(set, "down-after-milliseconds", (90*time.Second).Milliseconds()),
		fmt.Sprintf(set, "failover-timeout", (10*time.Second).Milliseconds()))
	if err != nil {
		return err
	}
	r.sentinelClient = redis.NewSentinelClient(&redis.Options{Addr: r.sentinel.Addr, Password: r.sentinelPassword})
	r.sentinelProxy, err = proxy.Start(r.sentinel.Addr)
	return err
}

func (r *redisSide) stop() error {
	var errs []error
	if r.sentinelClient != nil {
		errs = append(errs, r.sentinelClient.Close())
	}
	if r.sentinelProxy != nil {
		errs = append(errs, r.sentinelProxy.Close())
	}
	if r.sentinel != nil {
		errs = append(errs, r.sentinel.Stop())
	}
	for _, n := range r.nodes {
		if n != nil {
			errs = append(errs, n.stop())
		}
	}
	return errors.Join(errs...)
}

// env leads regmend's processes through the proxies, to database 0.
func (r *redisSide) env() map[string]string {
	return map[string]string{
		"REGMEND_REDIS_URL": fmt.Sprintf("redis+sentinel://:%s@%s/%s/0?sentinel_password=%s",
			r.password, r.sentinelProxy.Addr(), redisMaster, r.sentinelPassword),
	}
}

// options lead plain asynq the same way, to database 1.
func (r *redisSide) options() *redis.UniversalOptions {
	return &redis.UniversalOptions{
		Addrs:            []string{r.sentinelProxy.Addr()},
		MasterName:       redisMaster,
		Password:         r.password,
		SentinelPassword: r.sentinelPassword,
		DB:               1,
	}
}

// client is the master's, straight, on database 0. It is not the caller's to
// close, and not to be kept over a failover.
func (r *redisSide) client() *redis.Client { return r.master().client }

func (r *redisSide) master() *redisNode  { return r.nodes[r.leader()] }
func (r *redisSide) replica() *redisNode { return r.nodes[1-r.leader()] }

func (r *redisSide) leader() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.leads
}

// ask asks Sentinel which server the master is.
func (r *redisSide) ask(ctx context.Context) error {
	address, err := r.sentinelClient.GetMasterAddrByName(ctx, redisMaster).Result()
	if err != nil {
		return err
	}
	named := net.JoinHostPort(address[0], address[1])
	i := slices.IndexFunc(r.nodes[:], func(n *redisNode) bool { return n.proxy.Addr() == named })
	if i < 0 {
		return fmt.Errorf("the master is at %s, says Sentinel, which is neither server's proxy", named)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.leads = i
	return nil
}

// lost are the times at which something that Redis had accepted before was lost.
func (r *redisSide) lost() []time.Time {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.losses)
}

func (r *redisSide) noteLoss() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.losses = append(r.losses, time.Now())
}

// whole returns once the master can be written to, the replica is in step with
// it and Sentinel knows that.
func (r *redisSide) whole(ctx context.Context) error {
	return servers.Await(ctx, "a whole Redis", time.Minute, func(ctx context.Context) (bool, error) {
		if err := r.ask(ctx); err != nil {
			return false, err
		}
		replicas, err := r.sentinelClient.Replicas(ctx, redisMaster).Result()
		if err != nil || len(replicas) != 1 {
			return false, cmp.Or(err, fmt.Errorf("sentinel knows the replicas %v", replicas))
		}
		return r.replica().inStep(ctx, r.master())
	})
}

// mend ends whatever still is out of order.
func (r *redisSide) mend(ctx context.Context) error {
	r.sentinelProxy.Pass()
	for _, n := range r.nodes {
		if err := n.mend(ctx); err != nil {
			return err
		}
	}
	if err := r.ask(ctx); err != nil {
		return err
	}
	if err := r.master().lead(ctx); err != nil {
		return err
	}
	return r.replica().follow(ctx, r.master())
}
