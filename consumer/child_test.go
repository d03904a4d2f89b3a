package consumer_test

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"syscall"

	"regmend/consumer"
	"regmend/shared/postgres"
	"regmend/shared/servers"

	"github.com/sirupsen/logrus"
)

// The environment of a child: its name, and the rest as JSON.
const childName, childWorld = "REGMEND_TEST_CHILD", "REGMEND_TEST_WORLD"

// childOrders are what a child is told.
type childOrders struct {
	Reach  reach
	Timing timing
	Deadly string // the registry path whose listing kills the process
}

// child is a consumer in a process of its own, for tests that kill it.
func (w *world) child() *servers.Process {
	w.t.Helper()
	w.started++
	name := fmt.Sprintf("child-%d", w.started)
	orders, err := json.Marshal(childOrders{Reach: w.reach, Timing: w.timing, Deadly: w.deadly})
	if err != nil {
		w.t.Fatal(err)
	}
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), childName+"="+name, childWorld+"="+string(orders))
	p, err := servers.Start(cmd, filepath.Join(w.t.TempDir(), name+".log"))
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() {
		_ = p.Kill()
		if w.t.Failed() {
			w.t.Logf("%s: %s", name, p.Tail())
		}
	})
	return p
}

// child is what TestMain runs instead of tests.
func child() int {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	if err := consumeAsChild(ctx); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

func consumeAsChild(ctx context.Context) error {
	var orders childOrders
	if err := json.Unmarshal([]byte(os.Getenv(childWorld)), &orders); err != nil {
		return err
	}
	db, err := postgres.Open(orders.Reach.Database)
	if err != nil {
		return err
	}
	rdb, err := newRedis(orders.Reach.Redis)
	if err != nil {
		return err
	}
	cfg := consumer.Config{Process: os.Getenv(childName), Slots: orders.Timing.Slots, Claims: orders.Timing.Claims}
	client, err := newRegistry(orders.Reach.Registry, orders.Deadly, func(string) {
		_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
		select {}
	}, wired(&cfg))
	if err != nil {
		return err
	}
	log := logrus.New()
	return watched(ctx, db, log, func(ctx context.Context, watch *postgres.Watch) error {
		return consumer.New(db, watch, rdb, client, log, cfg).Run(ctx)
	})
}
