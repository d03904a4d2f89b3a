package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"regmend/shared/servers"
	"regmend/shared/servers/proxy"

	"github.com/redis/go-redis/v9"
)

// redisNode is a server that is the master or the replica, by turns.
type redisNode struct {
	server *servers.Redis
	proxy  *proxy.Proxy
	client *redis.Client // straight
}

// startNode starts one that calls itself by its proxy's address. Its arguments
// do not say whom it follows: after a failover they would be wrong.
func startNode(ctx context.Context, dir, password string) (*redisNode, error) {
	front, err := proxy.Start("127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	server, err := servers.StartRedis(ctx, dir,
		"--appendonly", "yes", "--appendfsync", "everysec", "--maxmemory-policy", "noeviction",
		"--requirepass", password, "--masterauth", password,
		"--replica-announce-ip", "127.0.0.1", "--replica-announce-port", strconv.Itoa(front.Port()),
		// A replica is in step again at once, not after 5 s, and a master does
		// not wait for one before it stops.
		"--repl-diskless-sync-delay", "0", "--shutdown-timeout", "0")
	if err != nil {
		return nil, errors.Join(err, front.Close())
	}
	front.Redirect(server.Addr)
	client := redis.NewClient(&redis.Options{Addr: server.Addr, Password: password, ContextTimeoutEnabled: true})
	n := &redisNode{server: server, proxy: front, client: client}
	if err := n.answers(ctx); err != nil {
		return nil, errors.Join(err, n.stop())
	}
	return n, nil
}

// stop does not ask: a replica with a fresh copy would not stop yet.
func (n *redisNode) stop() error {
	return errors.Join(n.client.Close(), n.proxy.Close(), n.server.Kill())
}

// answers waits until it has loaded its data.
func (n *redisNode) answers(ctx context.Context) error {
	return servers.Await(ctx, "Redis answers", 30*time.Second, func(ctx context.Context) (bool, error) {
		err := n.client.Ping(ctx).Err()
		return err == nil, err
	})
}

// restart starts it again; it is a master then.
func (n *redisNode) restart(ctx context.Context) error {
	if err := n.server.Restart(ctx); err != nil {
		return err
	}
	return n.answers(ctx)
}

// clear removes what a stopped server has on disk.
func (n *redisNode) clear() error {
	return errors.Join(
		os.RemoveAll(filepath.Join(n.server.Dir, "appendonlydir")),
		os.RemoveAll(filepath.Join(n.server.Dir, "dump.rdb")))
}

// tail is the end of the append-only file.
type tail struct {
	file string
	size int64
}

// tail returns the file that is being appended to. It changes when Redis
// rewrites it.
func (n *redisNode) tail() (tail, error) {
	files, err := filepath.Glob(filepath.Join(n.server.Dir, "appendonlydir", "*.incr.aof"))
	if err != nil {
		return tail{}, err
	}
	var last tail
	var written time.Time
	for _, file := range files {
		info, err := os.Stat(file)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return tail{}, err
		}
		if info.ModTime().After(written) {
			last, written = tail{file, info.Size()}, info.ModTime()
		}
	}
	return last, nil
}

// lead makes it the master, if it is not.
func (n *redisNode) lead(ctx context.Context) error {
	return n.client.ReplicaOf(ctx, "NO", "ONE").Err()
}

// follow makes it the other's replica, if it is not.
func (n *redisNode) follow(ctx context.Context, other *redisNode) error {
	return n.client.ReplicaOf(ctx, "127.0.0.1", strconv.Itoa(other.proxy.Port())).Err()
}

// inStep tells whether it follows the other, which follows nobody.
func (n *redisNode) inStep(ctx context.Context, other *redisNode) (bool, error) {
	theirs, err := other.client.InfoMap(ctx, "replication").Result()
	if err != nil {
		return false, err
	}
	ours, err := n.client.InfoMap(ctx, "replication").Result()
	if err != nil {
		return false, err
	}
	master, replica := theirs["Replication"], ours["Replication"]
	if master["role"] != "master" || replica["role"] != "slave" || replica["master_link_status"] != "up" ||
		replica["master_port"] != strconv.Itoa(other.proxy.Port()) {
		return false, fmt.Errorf("the master is a %s, the replica a %s of port %s, link %s",
			master["role"], replica["role"], replica["master_port"], cmp.Or(replica["master_link_status"], "none"))
	}
	return true, nil
}

// copies counts how often a replica needed all of its data.
func (n *redisNode) copies(ctx context.Context) (int, error) {
	info, err := n.client.InfoMap(ctx, "stats").Result()
	if err != nil {
		return 0, err
	}
	return strconv.Atoi(info["Stats"]["sync_full"])
}

// mend lets everything pass and has the server run with memory to spare.
func (n *redisNode) mend(ctx context.Context) error {
	n.proxy.Pass()
	for _, lose := range []func(string, int){n.proxy.LoseRequest, n.proxy.LoseReply, n.proxy.SwallowReply} {
		lose(script, 0)
	}
	select {
	case <-n.server.Exited():
		if err := n.restart(ctx); err != nil {
			return err
		}
	default:
	}
	return n.client.ConfigSet(ctx, "maxmemory", "0").Err()
}
