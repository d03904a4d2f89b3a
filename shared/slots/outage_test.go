package slots_test

import (
	"context"
	"errors"
	"net"
	"regexp"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"regmend/shared/servers"
	"regmend/shared/servers/proxy"
	"regmend/shared/servers/redistest"
	"regmend/shared/slots"

	"github.com/redis/go-redis/v9"
	"github.com/sirupsen/logrus"
)

// behind is a process whose way to Redis leads through a proxy.
type behind struct {
	process
	proxy *proxy.Proxy
}

func proxied(t *testing.T, upstream, name string) behind {
	t.Helper()
	via, err := proxy.Start(upstream)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := via.Close(); err != nil {
			t.Error(err)
		}
	})
	rdb := client(via.Addr())
	t.Cleanup(func() { _ = rdb.Close() }) // its connections may be torn
	return behind{process: start(t, rdb, name, always(1), quick()), proxy: via}
}

// lost tells whether a message was lost.
func (b behind) lost() bool {
	return b.proxy.Lost() == 1
}

func scripts(t *testing.T, rdb *redis.Client) string {
	t.Helper()
	info, err := rdb.Info(context.Background(), "commandstats").Result()
	if err != nil {
		t.Fatal(err)
	}
	return regexp.MustCompile(`cmdstat_evalsha:calls=\d+`).FindString(info)
}

func TestP12_SlotsOfAKilledProcessAreFree(t *testing.T) {
	t.Parallel()
	rdb := redistest.New(t)
	dead := another(t, rdb.Options().Addr, "dead")
	got := request(t, start(t, rdb, "a", always(1), quick()))
	dead.signal(t, syscall.SIGKILL)
	killed := time.Now()
	wait(t, got)
	if took := time.Since(killed); took > quick().Lease*3/2 {
		t.Errorf("the slot was free after %v, with a lease of %v", took, quick().Lease)
	}
}

func TestP12_FrozenProcessLosesItsSlot(t *testing.T) {
	t.Parallel()
	rdb := redistest.New(t)
	frozen := another(t, rdb.Options().Addr, "frozen")
	got := request(t, start(t, rdb, "a", always(1), quick()))
	frozen.signal(t, syscall.SIGSTOP)
	wait(t, got)
	frozen.signal(t, syscall.SIGCONT)
	if got, want := frozen.line(t), slots.ErrLost.Error(); got != want {
		t.Errorf("the slot of the frozen process ended with %q, want %q", got, want)
	}
}

// A holder that cannot renew ends by its own clock before anybody else can have
// its slot.
func TestP12_HolderGivesUpBeforeItsLeaseEnds(t *testing.T) {
	t.Parallel()
	rdb := redistest.New(t)
	holder := proxied(t, rdb.Options().Addr, "holder")
	s := acquire(t, holder.process)
	got := request(t, start(t, rdb, "a", always(1), quick()))
	holder.proxy.Hang()
	hung := time.Now()
	if err := over(t, s); !errors.Is(err, slots.ErrLost) {
		t.Errorf("slot ended with %v, want ErrLost", err)
	}
	// The last renewal was before that, so there is a fifth of the lease left.
	if took := time.Since(hung); took > quick().Lease*9/10 {
		t.Errorf("the holder gave up after %v, with a lease of %v", took, quick().Lease)
	}
	select {
	case granted := <-got:
		granted.release()
		t.Fatal("the slot was granted again before its holder had the margin to end its requests")
	default:
	}
	wait(t, got)
}

// What Redis lost may still be held: nothing is granted until the holders have
// said so, or have given up.
func TestP12_NothingIsGrantedForOneLeaseAfterALoss(t *testing.T) {
	t.Parallel()
	losses := map[string]func(t *testing.T, addr *atomic.Value, redis *servers.Redis){
		"flushed": func(t *testing.T, addr *atomic.Value, _ *servers.Redis) {
			rdb := client(addr.Load().(string))
			defer rdb.Close() //nolint:errcheck // only read from
			if err := rdb.FlushAll(t.Context()).Err(); err != nil {
				t.Fatal(err)
			}
		},
		"restarted empty": func(t *testing.T, _ *atomic.Value, redis *servers.Redis) {
			restart(t, redis)
		},
		"failed over to a replica without the slot": func(t *testing.T, addr *atomic.Value, _ *servers.Redis) {
			addr.Store(staleReplica(t, addr.Load().(string)))
		},
	}
	for name, lose := range losses {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := redistest.Start(t)
			var addr atomic.Value
			addr.Store(server.Addr)
			rdb := following(t, &addr)
			holder, other := start(t, rdb, "holder", always(1), quick()), start(t, rdb, "other", always(1), quick())
			s := acquire(t, holder)
			lose(t, &addr, server)
			lost := time.Now()
			got := request(t, other)
			select {
			case granted := <-got:
				granted.release()
				t.Fatalf("a slot was granted %v after the loss, while it is held", time.Since(lost))
			case <-s.Done():
				t.Fatalf("the holder lost its slot: %v", context.Cause(s))
			case <-time.After(quick().Lease * 3 / 2): // kept beyond the quiet time
			}
			s.release()
			wait(t, got)
		})
	}
}

// A holder that is cut off at the time of the loss cannot say that it holds.
func TestP12_QuietLeaseCoversASilentHolder(t *testing.T) {
	t.Parallel()
	rdb := redistest.New(t)
	holder := proxied(t, rdb.Options().Addr, "holder")
	s := acquire(t, holder.process)
	got := request(t, start(t, rdb, "other", always(1), quick()))
	holder.proxy.Hang()
	if err := rdb.FlushAll(context.Background()).Err(); err != nil {
		t.Fatal(err)
	}
	if err := over(t, s); !errors.Is(err, slots.ErrLost) {
		t.Errorf("slot ended with %v, want ErrLost", err)
	}
	select {
	case granted := <-got:
		granted.release()
		t.Fatal("a slot was granted while the silent holder had it")
	default:
	}
	wait(t, got)
}

func TestP12_HolderKeepsItsSlotThroughARestart(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t, "--appendonly", "yes", "--appendfsync", "always")
	rdb := client(server.Addr)
	t.Cleanup(func() { _ = rdb.Close() }) // its connections were torn
	p := start(t, rdb, "a", always(1), quick())
	s := acquire(t, p)
	restart(t, server)
	select {
	case <-s.Done():
		t.Errorf("the holder lost its slot: %v", context.Cause(s))
	case <-time.After(quick().Lease * 3 / 2):
	}
	if got := inUse(t, rdb); got != 1 {
		t.Errorf("InUse() = %d, want 1", got)
	}
}

// A message that is lost leaves no slot that nobody knows of: the same slot is
// asked for again.
func TestP12_LostMessageLeaksNoSlot(t *testing.T) {
	t.Parallel()
	t.Run("of a grant", func(t *testing.T) {
		t.Parallel()
		p, rdb := warm(t)
		p.proxy.LoseReply("evalsha", 1)
		asked := time.Now()
		s := acquire(t, p.process)
		if took := time.Since(asked); took > quick().Lease/2 {
			t.Errorf("the slot came after %v: the lease of the lost grant ended", took)
		}
		if !p.lost() {
			t.Fatal("no reply was lost")
		}
		if got := inUse(t, rdb); got != 1 {
			t.Errorf("InUse() = %d, want 1", got)
		}
		s.release()
		eventually(t, "no slot is in use", func() bool { return inUse(t, rdb) == 0 })
	})
	t.Run("of a grant that nobody waits for any more", func(t *testing.T) {
		t.Parallel()
		p, rdb := warm(t)
		p.proxy.LoseReply("evalsha", 1)
		ctx, cancel := context.WithCancel(context.Background())
		left := make(chan struct{})
		go func() {
			defer close(left)
			if _, release, err := p.Acquire(ctx); err == nil {
				release()
			}
		}()
		eventually(t, "the reply is lost", p.lost)
		cancel()
		<-left
		lost := time.Now()
		eventually(t, "no slot is in use", func() bool { return inUse(t, rdb) == 0 })
		if took := time.Since(lost); took > quick().Lease/2 {
			t.Errorf("the slot was free after %v: its lease ended", took)
		}
	})
	t.Run("of a release, whose request is lost", func(t *testing.T) {
		t.Parallel()
		p, rdb := warm(t)
		s := acquire(t, p.process)
		p.proxy.LoseRequest("evalsha", 1)
		s.release()
		released := time.Now()
		eventually(t, "no slot is in use", func() bool { return inUse(t, rdb) == 0 })
		if took := time.Since(released); took > quick().Lease/2 {
			t.Errorf("the slot was free after %v: its lease ended", took)
		}
		if !p.lost() {
			t.Error("no request was lost")
		}
	})
}

// warm is a process behind a proxy on a Redis whose quiet lease is over.
func warm(t *testing.T) (behind, *redis.Client) {
	t.Helper()
	rdb := redistest.New(t)
	p := proxied(t, rdb.Options().Addr, "a")
	acquire(t, p.process).release()
	eventually(t, "no slot is in use", func() bool { return inUse(t, rdb) == 0 })
	return p, rdb
}

// Redis' clock was set back after a lease was given: the dead holder's slot
// must not be taken for as long as that.
func TestLeaseIsNeverLongerThanALease(t *testing.T) {
	t.Parallel()
	rdb := redistest.New(t)
	p := start(t, rdb, "a", always(1), quick())
	acquire(t, p).release()
	far := redis.Z{Score: float64(time.Now().Add(time.Hour).UnixMilli()), Member: "dead/1"}
	if err := rdb.ZAdd(context.Background(), "regmend:slots:held", far).Err(); err != nil {
		t.Fatal(err)
	}
	acquire(t, p)
}

func TestOutageIsLoggedOnce(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	rdb := client(server.Addr)
	t.Cleanup(func() { _ = rdb.Close() }) // its connections were torn
	p := start(t, rdb, "a", always(1), quick())
	acquire(t, p).release()
	if err := server.Kill(); err != nil {
		t.Fatal(err)
	}
	got := request(t, p)
	eventually(t, "the outage is logged", func() bool { return len(p.hook.AllEntries()) > 0 })
	<-time.After(500 * time.Millisecond) // and looked at some times more
	restart(t, server)
	wait(t, got)
	var levels []logrus.Level
	for _, entry := range p.hook.AllEntries() {
		levels = append(levels, entry.Level)
	}
	if len(levels) != 2 || levels[0] != logrus.WarnLevel || levels[1] != logrus.InfoLevel {
		t.Errorf("logged %v, want one warning and one info", levels)
	}
}

// The cap is kept within a process also while Redis is away.
func TestP12_CutWithoutRedis(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	rdb := client(server.Addr)
	t.Cleanup(func() { _ = rdb.Close() }) // its connections were torn
	var limit atomic.Int64
	limit.Store(2)
	p := start(t, rdb, "a", func() int { return int(limit.Load()) }, slots.Config{Lease: 4 * time.Second})
	old, young := acquire(t, p), acquire(t, p)
	if err := server.Kill(); err != nil {
		t.Fatal(err)
	}
	limit.Store(1)
	if err := over(t, young); !errors.Is(err, slots.ErrSurplus) {
		t.Errorf("the younger slot ended with %v, want ErrSurplus", err)
	}
	if old.Err() != nil {
		t.Errorf("the older slot ended: %v", context.Cause(old))
	}
}

func restart(t *testing.T, server *servers.Redis) {
	t.Helper()
	if err := server.Restart(context.Background()); err != nil {
		t.Fatal(err)
	}
}

// following is a client of whatever server has the address now.
func following(t *testing.T, addr *atomic.Value) *redis.Client {
	t.Helper()
	rdb := redis.NewClient(&redis.Options{
		Addr: "redis", ContextTimeoutEnabled: true, MaxRetries: -1, DialerRetries: 1,
		ConnMaxLifetime: 50 * time.Millisecond,
		Dialer: func(ctx context.Context, _, _ string) (net.Conn, error) {
			var d net.Dialer
			return d.DialContext(ctx, "tcp", addr.Load().(string))
		},
	})
	t.Cleanup(func() { _ = rdb.Close() }) // its connections may be torn
	return rdb
}

// staleReplica makes a replica, promotes it, and takes from it what it might
// not have received yet.
func staleReplica(t *testing.T, master string) string {
	t.Helper()
	ctx := context.Background()
	host, port, err := net.SplitHostPort(master)
	if err != nil {
		t.Fatal(err)
	}
	replica := redistest.New(t)
	if err := replica.ReplicaOf(ctx, host, port).Err(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the replica follows", func() bool {
		n, err := replica.Exists(ctx, "regmend:slots:epoch").Result()
		return err == nil && n == 1
	})
	if err := replica.ReplicaOf(ctx, "NO", "ONE").Err(); err != nil {
		t.Fatal(err)
	}
	if err := replica.Del(ctx, "regmend:slots:held", "regmend:slots:age").Err(); err != nil {
		t.Fatal(err)
	}
	return replica.Options().Addr
}
