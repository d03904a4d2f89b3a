package main

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"regmend/shared/servers/redistest"

	"github.com/google/go-cmp/cmp"
	"github.com/redis/go-redis/v9"
)

// second is a moment of a run that is told in seconds.
func second(n float64) time.Time {
	return time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC).Add(time.Duration(n * float64(time.Second)))
}

// story reads events told as "second event task", in order.
func story(t *testing.T, lines string) []plainEvent {
	t.Helper()
	var events []plainEvent
	for line := range strings.Lines(lines) {
		var at float64
		var e plainEvent
		if n, _ := fmt.Sscan(line, &at, &e.Event, &e.Task); n < 2 {
			continue // an empty line
		}
		e.Time = second(at)
		events = append(events, e)
	}
	return events
}

const plainFinal = 1000

func TestPlainRecovery(t *testing.T) {
	for _, test := range []struct {
		name             string
		events           string
		from, since, now float64
		want             plainRecovery
	}{
		{name: "nothing happened", from: 10, since: 10, now: plainFinal},
		{
			name:   "a task that runs on to its end",
			events: "1 enqueued a\n9 begun a\n11 ended a",
			from:   10, since: 10, now: plainFinal,
			want: plainRecovery{Running: 1, Took: time.Second},
		},
		{
			name:   "a task that had ended before",
			events: "1 enqueued a\n7 begun a\n9 ended a",
			from:   10, since: 10, now: plainFinal,
		},
		{
			name:   "the last of the killed ones to begin again counts",
			events: "9 begun a\n9 begun b\n10 killed\n80 begun a\n82 ended a\n105 begun b\n107 ended b",
			from:   10, since: 10, now: plainFinal,
			want: plainRecovery{Running: 2, Took: 95 * time.Second, Resumed: 72 * time.Second},
		},
		{
			name:   "one that was killed before is another fault's",
			events: "3 begun a\n4 killed\n80 begun a",
			from:   10, since: 10, now: plainFinal,
		},
		{
			name:   "a kill is told after the fault began",
			events: "9 begun a\n10.2 killed\n11 begun a\n12 killed",
			from:   10, since: 10, now: plainFinal,
			want: plainRecovery{Running: 1, Took: time.Second},
		},
		{
			name:   "a killed one that may yet begin again",
			events: "9 begun a\n10 killed",
			from:   10, since: 10, now: 129,
			want: plainRecovery{Running: 1, Open: 1},
		},
		{
			name:   "a killed one that never does",
			events: "9 begun a\n10 killed",
			from:   10, since: 10, now: 130,
			want: plainRecovery{Running: 1, Lost: 1},
		},
		{
			name:   "one that begins again too late",
			events: "9 begun a\n10 killed\n131 begun a",
			from:   10, since: 10, now: plainFinal,
			want: plainRecovery{Running: 1, Lost: 1},
		},
		{
			name:   "one that begins again at the last moment",
			events: "9 begun a\n10 killed\n130 begun a",
			from:   10, since: 10, now: plainFinal,
			want: plainRecovery{Running: 1, Took: plainLimit},
		},
		{
			name:   "one that asynq asked to leave is not done",
			events: "9 begun a\n40 left a\n70 begun a",
			from:   10, since: 55, now: plainFinal,
			want: plainRecovery{Running: 1, Took: 15 * time.Second},
		},
		{
			name:   "one that began and ended during the fault, and again after it",
			events: "11 begun a\n13 ended a\n75 begun a\n77 ended a",
			from:   10, since: 15, now: plainFinal,
			want: plainRecovery{Running: 1, Again: 1, Resumed: 62 * time.Second},
		},
		{
			name:   "one that had ended before the fault began and begins again is not this one's",
			events: "7 begun a\n9 ended a\n75 begun a\n77 ended a",
			from:   10, since: 15, now: plainFinal,
			want: plainRecovery{Resumed: 62 * time.Second},
		},
		{
			name:   "one that had ended and began again during the fault is another's",
			events: "7 begun a\n9 ended a\n11 begun a\n16 ended a",
			from:   10, since: 15, now: plainFinal,
			want: plainRecovery{Running: 1, Took: time.Second},
		},
		{
			name:   "one that was killed twice during the fault",
			events: "11 begun a\n12 killed\n13 begun a\n14 killed\n80 begun a",
			from:   10, since: 15, now: plainFinal,
			want: plainRecovery{Running: 1, Took: 65 * time.Second},
		},
		{
			name:   "one that left and begins again had not ended",
			events: "11 begun a\n13 left a\n75 begun a",
			from:   10, since: 15, now: plainFinal,
			want: plainRecovery{Running: 1, Took: time.Minute},
		},
		{
			name:   "again after the limit is somebody else's doing",
			events: "11 begun a\n13 ended a\n136 begun a",
			from:   10, since: 15, now: plainFinal,
			want: plainRecovery{Running: 1},
		},
		{
			name:   "the first to end of those that began after the fault",
			events: "9 begun a\n11 ended a\n12 begun b\n13 begun c\n14 left c\n15 begun d\n16 ended b\n17 ended d",
			from:   10, since: 10, now: plainFinal,
			want: plainRecovery{Running: 1, Took: time.Second, Resumed: 6 * time.Second},
		},
		{
			name:   "a waiting one that others pass is lost",
			events: "1 enqueued a\n2 enqueued b\n12 begun b",
			from:   10, since: 10, now: plainFinal,
			want: plainRecovery{Lost: 1},
		},
		{
			name:   "a waiting one that others pass may yet begin",
			events: "1 enqueued a\n2 enqueued b\n12 begun b",
			from:   10, since: 10, now: 100,
			want: plainRecovery{Open: 1},
		},
		{
			name:   "a waiting one that others pass and that begins",
			events: "1 enqueued a\n2 enqueued b\n12 begun b\n70 begun a",
			from:   10, since: 10, now: plainFinal,
		},
		{
			name:   "one that still waits in its place",
			events: "1 enqueued a\n2 enqueued b\n12 begun a",
			from:   10, since: 10, now: plainFinal,
		},
		{
			name:   "one that was passed before the fault is another's",
			events: "1 enqueued a\n2 enqueued b\n3 begun b\n5 ended b\n6 enqueued c\n12 begun c",
			from:   10, since: 10, now: plainFinal,
		},
		{
			name:   "one that is enqueued after the fault",
			events: "11 enqueued a\n12 enqueued b\n12 begun b",
			from:   10, since: 10, now: plainFinal,
		},
		{
			name:   "one that began before its enqueueing was noted",
			events: "8 begun a\n8.1 enqueued a\n9 enqueued b\n10 ended a\n12 begun b\n14 ended b",
			from:   10.5, since: 10.5, now: plainFinal,
			want: plainRecovery{Resumed: 3500 * time.Millisecond},
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			got := judgePlain(story(t, test.events), second(test.from), second(test.since), second(test.now))
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("judgePlain() (-want +got):\n%s", diff)
			}
		})
	}
}

// awaitPlain looks until the condition holds.
func awaitPlain(t *testing.T, p *plain, what string, condition func() bool) {
	t.Helper()
	deadline := time.After(20 * time.Second)
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for !condition() {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("not within 20 s: %s; the worker printed:\n%s", what, p.process.Tail())
		}
	}
}

func (p *plain) mustRecovery(t *testing.T, from time.Time) plainRecovery {
	t.Helper()
	r, err := p.watch(from, from).recovery()
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestPlainIsKilledAndLosesItsTasks(t *testing.T) {
	t.Parallel()
	const password = "the password of plain asynq"
	server := redistest.Start(t, "--requirepass", password)
	o := &redis.UniversalOptions{Addrs: []string{server.Addr}, Password: password}
	p, err := startPlain(t.Context(), t.TempDir(), o, os.Args[0], plainVerb)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := p.stop(); err != nil {
			t.Error(err)
		}
	})
	awaitPlain(t, p, "two tasks run", func() bool { return p.mustRecovery(t, time.Now()).Running == 2 })

	killed, first := time.Now(), p.process
	if err := p.kill(); err != nil {
		t.Fatal(err)
	}
	select {
	case <-first.Exited():
	default:
		t.Error("the worker was killed, but runs")
	}
	if r := p.mustRecovery(t, time.Now()); r != (plainRecovery{}) {
		t.Errorf("nothing runs now, but recovery is %+v", r)
	}
	if err := p.restart(); err != nil {
		t.Fatal(err)
	}
	awaitPlain(t, p, "work goes on", func() bool { return p.mustRecovery(t, killed).Resumed > 0 })
	if r := p.mustRecovery(t, killed); r.Running != 2 || r.Open != 2 || r.Lost != 0 || r.Again != 0 {
		t.Errorf("two were killed and asynq has not found out, but recovery is %+v", r)
	}

	flushed := time.Now()
	if err := p.rdb.FlushAll(t.Context()).Err(); err != nil {
		t.Fatal(err)
	}
	awaitPlain(t, p, "new tasks are worked on, the old ones are missed", func() bool {
		r := p.mustRecovery(t, flushed)
		return r.Resumed > 0 && r.Open > 2
	})
	if printed := p.process.Tail() + strings.Join(p.process.Args(), " "); strings.Contains(printed, password) {
		t.Errorf("the password is to be seen:\n%s", printed)
	}
}
