package claims_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"regmend/shared/claims"

	"github.com/google/go-cmp/cmp"
	"github.com/redis/go-redis/v9"
	"github.com/sirupsen/logrus"
)

// A batch of a killed process is put back once, however many look, and again
// until somebody claims it.
func TestP11_BatchOfAKilledProcessIsPutBack(t *testing.T) {
	rdb := newRedis(t)
	a, b := start(t, rdb, "a"), start(t, rdb, "b")
	other := doomed(t, rdb.Options().Addr)
	quiet(t, 2*quick().Lease, a, b) // it lives
	if err := other.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	killed := time.Now()
	got := back(t, a, b)
	if diff := cmp.Diff(batch(2), got); diff != "" {
		t.Errorf("put back (-want +got):\n%s", diff)
	}
	if took := time.Since(killed); took > quick().Lease+2*quick().Look {
		t.Errorf("put back after %v", took)
	}
	quiet(t, quick().Look, a, b)
	if diff := cmp.Diff(batch(2), back(t, a, b)); diff != "" {
		t.Errorf("put back again, as nobody claimed it (-want +got):\n%s", diff)
	}
	a.refused(t, batch(1), claims.Superseded)
	if runs := a.claim(t, batch(2)); runs != 2 {
		t.Errorf("runs = %d, want 2", runs)
	}
	quiet(t, 4*quick().Look, a, b)
}

func TestClaimGivesItsProcessALease(t *testing.T) {
	rdb := newRedis(t)
	c := claims.New(rdb, "a", logrus.New(), claims.Config{})
	if _, _, err := c.Claim(context.Background(), batch(1)); err != nil {
		t.Fatal(err)
	}
	// Without one the claim would be taken for a dead process's.
	lease := rdb.ZScore(context.Background(), "regmend:processes", "a").Val() - float64(time.Now().UnixMilli())
	if lease < 4000 || lease > 6000 {
		t.Errorf("the lease ends after %v ms, want 6 s", lease)
	}
}

// Killed between the queue's delivery and the claim, or the delivery's reply
// was lost: the queue believes it to be running, and nobody runs it.
func TestP11_TaskThatNobodyClaimsIsPutBack(t *testing.T) {
	rdb := newRedis(t)
	a := start(t, rdb, "a")
	a.active.Store(&[]claims.Work{batch(1)})
	if diff := cmp.Diff(batch(2), back(t, a)); diff != "" {
		t.Errorf("put back (-want +got):\n%s", diff)
	}
	// And so is its successor, though a claim waits for it.
	a.active.Store(&[]claims.Work{batch(1), batch(2)})
	for {
		got := back(t, a)
		if got.Generation == 3 {
			break
		}
		if got.Generation != 2 {
			t.Fatalf("generation %d was put back, want 3", got.Generation)
		}
	}
	if runs := a.claim(t, batch(3)); runs != 1 {
		t.Errorf("runs = %d, want 1: it never began", runs)
	}
	a.active.Store(&[]claims.Work{batch(1), batch(2), batch(3)})
	quiet(t, 4*quick().Look, a)
}

// A task that was done while Redis was away stays behind as running. Once the
// generation after it has been through, no batch waits for it.
func TestTaskLeftBehindIsNotPutBackForEver(t *testing.T) {
	rdb := newRedis(t)
	a := start(t, rdb, "a")
	a.ended.Store("run3-lap1-7.2", true)
	a.active.Store(&[]claims.Work{batch(1)})
	if diff := cmp.Diff(batch(2), back(t, a)); diff != "" {
		t.Errorf("put back (-want +got):\n%s", diff)
	}
	a.active.Store(&[]claims.Work{})
	eventually(t, "no claim waits", func() bool { return rdb.HLen(t.Context(), "regmend:claims").Val() == 0 })
	for len(a.requeued) > 0 {
		<-a.requeued
	}
	quiet(t, 4*quick().Look, a)
}

// A batch that was begun and not ended is run, whatever became of the task of
// the generation it was to be put back with.
func TestP11_ABatchIsPutBackWithTheFirstGenerationThatIsFree(t *testing.T) {
	rdb := newRedis(t)
	dead, a := start(t, rdb, "dead"), start(t, rdb, "a")
	dead.claim(t, batch(1))
	a.ended.Store("run3-lap1-7.2", true)
	a.ended.Store("run3-lap1-7.3", true)
	dead.stop()
	for _, generation := range []int{2, 3, 4} {
		if got := back(t, a); got.Generation != generation {
			t.Fatalf("generation %d was put back, want %d", got.Generation, generation)
		}
	}
	if runs := a.claim(t, batch(4)); runs != 2 {
		t.Errorf("runs = %d, want 2", runs)
	}
}

// A task that was delivered a moment ago is not claimed yet.
func TestTaskIsGivenTimeToBeClaimed(t *testing.T) {
	rdb := newRedis(t)
	a, b := start(t, rdb, "a"), start(t, rdb, "b")
	<-time.After(quick().Lease + quick().Look) // both look by now
	for i := range 20 {
		delivered := batch(1)
		delivered.Name = fmt.Sprint("run3-lap1-", i)
		a.active.Store(&[]claims.Work{delivered})
		b.active.Store(&[]claims.Work{delivered})
		<-time.After(quick().Look / 3)
		a.claim(t, delivered)
		a.active.Store(&[]claims.Work{})
		b.active.Store(&[]claims.Work{})
		a.release(t, delivered)
	}
	quiet(t, 2*quick().Look, a, b)
}

// While Redis is away all leases end. The first one to find it back must not
// take the others for dead.
func TestNobodyIsDeadBecauseRedisWasAway(t *testing.T) {
	rdb := newRedis(t)
	a, b := start(t, rdb, "a"), start(t, rdb, "b")
	a.claim(t, batch(1))
	ctx, done := a.Guard(context.Background(), batch(1))
	defer done()
	a.line.down.Store(true)
	b.line.down.Store(true)
	eventually(t, "all leases have ended", func() bool { return len(processNames(t, rdb)) == 0 })
	b.line.down.Store(false)
	eventually(t, "one is back", func() bool { return len(processNames(t, rdb)) == 1 })
	<-time.After(quick().Lease / 3) // and looks, if it is hasty
	a.line.down.Store(false)
	quiet(t, 2*quick().Lease, a, b)
	if ctx.Err() != nil {
		t.Errorf("the claim ended: %v", context.Cause(ctx))
	}
}

func TestOutageIsLoggedOnce(t *testing.T) {
	rdb := newRedis(t)
	a := start(t, rdb, "a")
	eventually(t, "it is there", func() bool { return len(processNames(t, rdb)) == 1 })
	a.line.down.Store(true)
	<-time.After(2 * quick().Lease)
	a.line.down.Store(false)
	var levels []logrus.Level
	eventually(t, "the end of the outage is logged", func() bool {
		levels = nil
		for _, entry := range a.log.AllEntries() {
			levels = append(levels, entry.Level)
		}
		return len(levels) >= 2
	})
	if diff := cmp.Diff([]logrus.Level{logrus.WarnLevel, logrus.InfoLevel}, levels); diff != "" {
		t.Errorf("levels logged (-want +got):\n%s", diff)
	}
}

// A release that did not get through: the batch's task may have been dropped as
// claimed by a live process, so the batch is put back.
func TestFailedReleaseBlocksNothing(t *testing.T) {
	rdb := newRedis(t)
	a := start(t, rdb, "a")
	a.claim(t, batch(1))
	a.line.down.Store(true)
	if err := a.Release(context.Background(), batch(1)); err == nil {
		t.Fatal("Release() without Redis says it is done")
	}
	a.line.down.Store(false)
	if got := back(t, a); got.Generation != 2 {
		t.Errorf("generation %d was put back, want 2", got.Generation)
	}
}

// The queue delivered a task twice, and the second one was dropped, which ended
// the task. Should the first one give up, nobody would go on.
func TestBatchDeliveredTwiceIsPutBack(t *testing.T) {
	for fact, second := range map[string]string{"to another process": "b", "to the same process": "a"} {
		t.Run(fact, func(t *testing.T) {
			rdb := newRedis(t)
			processes := map[string]*process{"a": start(t, rdb, "a"), "b": start(t, rdb, "b")}
			a, b := processes["a"], processes["b"]
			a.claim(t, batch(1))
			processes[second].refused(t, batch(1), claims.Elsewhere)
			a.release(t, batch(1))
			if got := back(t, a, b); got.Generation != 2 {
				t.Errorf("generation %d was put back, want 2", got.Generation)
			}
			b.claim(t, batch(2))
			b.release(t, batch(2))
			quiet(t, 4*quick().Look, a, b)
		})
	}
}

// A process that leaves with work in its hands leaves it to others at once.
func TestLeavingProcessLeavesItsWork(t *testing.T) {
	rdb := newRedis(t)
	a, b := start(t, rdb, "a"), start(t, rdb, "b")
	a.claim(t, batch(1))
	quiet(t, quick().Lease+quick().Look, a, b) // b looks by now
	a.stop()
	left := time.Now()
	if got := back(t, b); got.Generation != 2 {
		t.Errorf("generation %d was put back, want 2", got.Generation)
	}
	if took := time.Since(left); took > 2*quick().Look {
		t.Errorf("put back after %v: its lease ended", took)
	}
}

// Redis' clock was set back: a dead process's lease must not last until it has
// caught up.
func TestLeaseIsNeverLongerThanALease(t *testing.T) {
	rdb := newRedis(t)
	ctx := context.Background()
	dead := newProcess(t, rdb, "dead")
	dead.claim(t, batch(1))
	far := redis.Z{Score: float64(time.Now().Add(time.Hour).UnixMilli()), Member: "dead"}
	if err := rdb.ZAdd(ctx, "regmend:processes", far).Err(); err != nil {
		t.Fatal(err)
	}
	back(t, start(t, rdb, "a"))
}
