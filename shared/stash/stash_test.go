package stash_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"regmend/shared/gitlab"
	"regmend/shared/servers/redistest"
	"regmend/shared/stash"

	"github.com/google/go-cmp/cmp"
	"github.com/redis/go-redis/v9"
)

func open(t *testing.T, cfg stash.Config) (*stash.Stash, *redis.Client) {
	t.Helper()
	rdb := redistest.New(t)
	return stash.New(rdb, cfg), rdb
}

func completed(id, scan int64, missing ...string) gitlab.Result {
	return gitlab.Result{
		Run: 3, Scan: scan, Status: gitlab.Completed, Missing: missing,
		Project:  gitlab.Project{ID: id, FullPath: fmt.Sprint("Group/app-", id)},
		Evidence: gitlab.Evidence{Method: "gitlab", Pages: 1, Listed: len(missing)},
	}
}

func failed(id, scan int64) gitlab.Result {
	return gitlab.Result{
		Run: 3, Scan: scan, Status: gitlab.Failed, Error: "timeout",
		Project: gitlab.Project{ID: id},
	}
}

func put(t *testing.T, s *stash.Stash, results ...gitlab.Result) stash.State {
	t.Helper()
	state, err := s.Put(context.Background(), results)
	if err != nil {
		t.Fatal(err)
	}
	return state
}

func oldest(t *testing.T, s *stash.Stash, limit int) []gitlab.Result {
	t.Helper()
	results, err := s.Oldest(context.Background(), limit)
	if err != nil {
		t.Fatal(err)
	}
	return results
}

func ack(t *testing.T, s *stash.Stash, results ...gitlab.Result) {
	t.Helper()
	if err := s.Ack(context.Background(), results); err != nil {
		t.Fatal(err)
	}
}

func state(t *testing.T, s *stash.Stash) stash.State {
	t.Helper()
	got, err := s.State(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	return got
}

// size is what the stash must believe it holds, counted by hand.
func size(t *testing.T, rdb *redis.Client) (entries int, bytes int64) {
	t.Helper()
	all, err := rdb.HGetAll(context.Background(), "regmend:stash:results").Result()
	if err != nil {
		t.Fatal(err)
	}
	for field, value := range all {
		bytes += int64(len(field) + len(value))
	}
	return len(all), bytes
}

func checkSize(t *testing.T, s *stash.Stash, rdb *redis.Client) {
	t.Helper()
	entries, bytes := size(t, rdb)
	if got := state(t, s); got.Entries != entries || got.Bytes != bytes {
		t.Errorf("State() = %d entries, %d bytes, want %d, %d", got.Entries, got.Bytes, entries, bytes)
	}
}

func check(t *testing.T, got []gitlab.Result, want ...gitlab.Result) {
	t.Helper()
	if len(want) == 0 && len(got) == 0 {
		return
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("Oldest() (-want +got):\n%s", diff)
	}
}

func TestResultsComeBackAsTheyWere(t *testing.T) {
	s, rdb := open(t, stash.Config{})
	odd := completed(1, 1<<53, "", "a/b/c", "<&>'\"\\", "line\nbreak", "\u2028", "\x00", "ü€😀", strings.Repeat("x", 255))
	put(t, s, odd, failed(2, 1<<53-1))
	check(t, oldest(t, s, 10), failed(2, 1<<53-1), odd)
	checkSize(t, s, rdb)
}

func TestHigherScanNumberStays(t *testing.T) {
	for _, c := range []struct {
		fact             string
		first, next, end []gitlab.Result
	}{
		{
			"a newer one replaces",
			[]gitlab.Result{completed(1, 5, "a", "b")},
			[]gitlab.Result{completed(1, 6, "c")},
			[]gitlab.Result{completed(1, 6, "c")},
		},
		{
			"an older one arriving last does not",
			[]gitlab.Result{completed(1, 6, "c")},
			[]gitlab.Result{completed(1, 5, "a", "b")},
			[]gitlab.Result{completed(1, 6, "c")},
		},
		{
			"the same one changes nothing",
			[]gitlab.Result{completed(1, 6, "c")},
			[]gitlab.Result{completed(1, 6, "other")},
			[]gitlab.Result{completed(1, 6, "c")},
		},
		{
			"next to each other where floats end",
			[]gitlab.Result{completed(1, 1<<53-2)},
			[]gitlab.Result{completed(1, 1<<53-1, "c")},
			[]gitlab.Result{completed(1, 1<<53-1, "c")},
		},
		{
			"by number, not by digits",
			[]gitlab.Result{completed(1, 9)},
			[]gitlab.Result{completed(1, 10)},
			[]gitlab.Result{completed(1, 10)},
		},
		{
			"completed and failed stand side by side",
			[]gitlab.Result{failed(1, 5)},
			[]gitlab.Result{completed(1, 6), completed(2, 4)},
			[]gitlab.Result{completed(2, 4), failed(1, 5), completed(1, 6)},
		},
		{
			"within one put",
			nil,
			[]gitlab.Result{completed(1, 5), completed(1, 7, "x"), completed(1, 6), failed(1, 9), failed(1, 8)},
			[]gitlab.Result{completed(1, 7, "x"), failed(1, 9)},
		},
	} {
		t.Run(c.fact, func(t *testing.T) {
			t.Parallel()
			s, rdb := open(t, stash.Config{})
			put(t, s, c.first...)
			put(t, s, c.next...)
			check(t, oldest(t, s, 10), c.end...)
			checkSize(t, s, rdb)
		})
	}
}

func TestPutRefusesWhatIsNoResult(t *testing.T) {
	s, _ := open(t, stash.Config{})
	for fact, r := range map[string]gitlab.Result{
		"no status":         {Run: 3, Scan: 4, Project: gitlab.Project{ID: 1}},
		"no scan number":    failed(1, 0),
		"beyond exactness":  failed(1, 1<<53+1),
		"of unknown status": {Run: 3, Scan: 4, Status: "pending", Project: gitlab.Project{ID: 1}},
	} {
		if _, err := s.Put(context.Background(), []gitlab.Result{completed(2, 5), r}); err == nil {
			t.Errorf("%s: Put() took it", fact)
		}
	}
	check(t, oldest(t, s, 10))
}

func TestFullStashTakesAllOrNone(t *testing.T) {
	for fact, cfg := range map[string]stash.Config{
		"of entries": {MaxEntries: 3},
		"of bytes":   {MaxBytes: 500},
	} {
		t.Run(fact, func(t *testing.T) {
			t.Parallel()
			s, rdb := open(t, cfg)
			put(t, s, completed(1, 1), completed(2, 2))
			more := []gitlab.Result{completed(3, 3, strings.Repeat("x", 100)), completed(4, 4, strings.Repeat("x", 100))}
			got, err := s.Put(context.Background(), more)
			if !errors.Is(err, stash.ErrFull) {
				t.Errorf("Put() = %v, want ErrFull", err)
			}
			if got.Entries != 2 {
				t.Errorf("Put() = %+v beside ErrFull, want the state", got)
			}
			check(t, oldest(t, s, 10), completed(1, 1), completed(2, 2))
			checkSize(t, s, rdb)

			put(t, s, completed(2, 5), completed(1, 1)) // needs no room
			ack(t, s, oldest(t, s, 10)...)
			put(t, s, more...)
		})
	}
}

// A batch larger than the stash must get in some time, and again when its reply
// was lost.
func TestEmptyStashTakesAnyBatch(t *testing.T) {
	s, _ := open(t, stash.Config{MaxEntries: 1, MaxBytes: 10})
	put(t, s, completed(1, 1), completed(2, 2))
	put(t, s, completed(1, 1), completed(2, 2))
	if _, err := s.Put(context.Background(), []gitlab.Result{completed(3, 3)}); !errors.Is(err, stash.ErrFull) {
		t.Errorf("Put() = %v, want ErrFull", err)
	}
}

// looked is a first look.
func looked(project, scan int64, missing ...string) gitlab.Result {
	r := completed(project, scan, missing...)
	r.Status = gitlab.Looked
	r.Created = map[string]time.Time{"x": time.Date(2026, 1, 2, 3, 4, 5, 678e6, time.UTC)}
	return r
}

func TestALookStandsBesideAResult(t *testing.T) {
	s, rdb := open(t, stash.Config{})
	put(t, s, completed(1, 5), looked(1, 7, "x"), looked(1, 6, "y"))
	check(t, oldest(t, s, 10), completed(1, 5), looked(1, 7, "x"))
	ack(t, s, looked(1, 7, "x"))
	check(t, oldest(t, s, 10), completed(1, 5))
	checkSize(t, s, rdb)
}

func TestDone(t *testing.T) {
	s, _ := open(t, stash.Config{})
	put(t, s, completed(1, 10), failed(2, 10), failed(3, 5), completed(3, 10), completed(5, 9), looked(6, 10))
	for after, want := range map[int64]map[int64]bool{
		0:  {1: true, 2: true, 3: true, 5: true, 6: true},
		9:  {1: true, 2: true, 3: true, 6: true},
		10: {},
	} {
		got, err := s.Done(context.Background(), []int64{1, 2, 3, 4, 5, 6}, after)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("Done(after %d) (-want +got):\n%s", after, diff)
		}
	}
	if got, err := s.Done(context.Background(), nil, 0); err != nil || len(got) != 0 {
		t.Errorf("Done(no projects) = %v, %v", got, err)
	}
}

func TestOldestIsBounded(t *testing.T) {
	s, _ := open(t, stash.Config{ReadBytes: 3000})
	large := strings.Repeat("x", 5000)
	put(t, s, completed(1, 4, large), completed(2, 3), completed(3, 2), completed(4, 1))
	check(t, oldest(t, s, 0))
	check(t, oldest(t, s, 2), completed(4, 1), completed(3, 2))
	check(t, oldest(t, s, 10), completed(4, 1), completed(3, 2), completed(2, 3))
	ack(t, s, oldest(t, s, 10)...)
	check(t, oldest(t, s, 10), completed(1, 4, large)) // one at least
}

// The flush that read a result must not remove the one that came after it.
func TestAckRemovesOnlyWhatItNames(t *testing.T) {
	s, rdb := open(t, stash.Config{})
	put(t, s, completed(1, 5, "a"), failed(1, 5), completed(2, 5), completed(3, 5))
	read := []gitlab.Result{completed(1, 5, "a"), completed(2, 5)}
	put(t, s, completed(1, 6, "b", "c"))
	ack(t, s, read...)
	check(t, oldest(t, s, 10), failed(1, 5), completed(3, 5), completed(1, 6, "b", "c"))
	checkSize(t, s, rdb)
	ack(t, s, read...) // twice
	checkSize(t, s, rdb)
	ack(t, s, failed(1, 5), completed(3, 5), completed(1, 6))
	if got := state(t, s); got != (stash.State{}) {
		t.Errorf("State() = %+v, want an empty stash", got)
	}
	if n := rdb.DBSize(context.Background()).Val(); n != 0 {
		t.Errorf("%d keys are left of an empty stash", n)
	}
}

func TestAgeBeginsAnewWithAnAck(t *testing.T) {
	s, rdb := open(t, stash.Config{})
	put(t, s, completed(1, 1))
	back(t, rdb, time.Hour)
	put(t, s, completed(2, 2))
	if got := state(t, s).Age; got < time.Hour {
		t.Errorf("Age = %v: a second put made it younger", got)
	}
	ack(t, s, completed(1, 1))
	if got := state(t, s).Age; got > time.Minute {
		t.Errorf("Age = %v after an ack that left some", got)
	}
	back(t, rdb, time.Hour)
	ack(t, s, completed(1, 1)) // of nothing
	if got := state(t, s).Age; got < time.Hour {
		t.Errorf("Age = %v: an ack of nothing made it younger", got)
	}
	ack(t, s, completed(2, 2))
	if got := put(t, s, completed(3, 3)).Age; got > time.Minute {
		t.Errorf("Age = %v of the first in an empty stash", got)
	}
}

// back makes the stash older.
func back(t *testing.T, rdb *redis.Client, by time.Duration) {
	t.Helper()
	if err := rdb.HIncrBy(context.Background(), "regmend:stash:size", "since", -by.Milliseconds()).Err(); err != nil {
		t.Fatal(err)
	}
}

// Redis can lose single keys; what is left must neither stop the flush nor be
// counted for ever.
func TestHalfLostStash(t *testing.T) {
	ctx := context.Background()
	t.Run("results", func(t *testing.T) {
		s, rdb := open(t, stash.Config{})
		put(t, s, completed(1, 1), completed(2, 2))
		rdb.HDel(ctx, "regmend:stash:results", "1:c")
		check(t, oldest(t, s, 10), completed(2, 2))
		if done, err := s.Done(ctx, []int64{1}, 0); err != nil || len(done) != 0 {
			t.Errorf("Done() = %v, %v for a lost result", done, err)
		}
	})
	t.Run("order", func(t *testing.T) {
		s, rdb := open(t, stash.Config{})
		put(t, s, completed(1, 1), completed(2, 2))
		rdb.Del(ctx, "regmend:stash:order")
		put(t, s, completed(3, 3))
		check(t, oldest(t, s, 10), completed(3, 3))
		checkSize(t, s, rdb)
	})
	t.Run("a value that is no result", func(t *testing.T) {
		s, rdb := open(t, stash.Config{})
		put(t, s, completed(1, 1), completed(2, 2), completed(3, 3))
		rdb.HSet(ctx, "regmend:stash:results", "1:c", "{", "2:c", `{"run":3,"scan":9,"status":"completed","project":{"id":7}}`)
		if _, err := s.Oldest(ctx, 10); !errors.Is(err, stash.ErrDamaged) {
			t.Errorf("Oldest() = %v, want ErrDamaged", err)
		}
		check(t, oldest(t, s, 10), completed(3, 3))
	})
}

func TestForgottenStashExpires(t *testing.T) {
	s, rdb := open(t, stash.Config{})
	put(t, s, completed(1, 1))
	for _, key := range rdb.Keys(context.Background(), "*").Val() {
		if ttl := rdb.TTL(context.Background(), key).Val(); ttl < 6*24*time.Hour || ttl > 7*24*time.Hour {
			t.Errorf("%s lives for %v", key, ttl)
		}
	}
}

func TestClear(t *testing.T) {
	s, rdb := open(t, stash.Config{})
	put(t, s, completed(1, 1))
	if _, err := s.RequestFlush(context.Background(), time.Minute); err != nil {
		t.Fatal(err)
	}
	if err := s.Clear(context.Background()); err != nil {
		t.Fatal(err)
	}
	if keys := rdb.Keys(context.Background(), "*").Val(); len(keys) != 0 {
		t.Errorf("left: %v", keys)
	}
}

func TestPutIsOneRoundTrip(t *testing.T) {
	s, rdb := open(t, stash.Config{})
	put(t, s, completed(1, 1)) // the script is known now
	var trips counter
	rdb.AddHook(&trips)
	batch := make([]gitlab.Result, 1000)
	ids := make([]int64, len(batch))
	for i := range batch {
		ids[i] = int64(i + 1)
		batch[i] = completed(ids[i], 10, "a", "b", "c")
	}
	put(t, s, batch...)
	if trips.n != 1 {
		t.Errorf("Put() took %d round trips", trips.n)
	}
	done, err := s.Done(context.Background(), ids, 0)
	if err != nil || len(done) != len(batch) {
		t.Errorf("Done() = %d, %v", len(done), err)
	}
	if trips.n != 2 {
		t.Errorf("Done() took %d round trips", trips.n-1)
	}
}

// counter counts round trips.
type counter struct{ n int }

func (c *counter) DialHook(next redis.DialHook) redis.DialHook { return next }

func (c *counter) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error { c.n++; return next(ctx, cmd) }
}

func (c *counter) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error { c.n++; return next(ctx, cmds) }
}
