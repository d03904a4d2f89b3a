package consumer_test

import (
	"testing"
	"time"

	"regmend/shared/tasks"

	"github.com/hibiken/asynq"
)

// looking makes a project of which two repositories were lost, and waits until a
// consumer has had a first look at it. What was scheduled for the second comes in
// an hour.
func looking(t *testing.T) (w *world, project int64) {
	t.Helper()
	w = newWorld(t)
	w.set("confirm_after", "1h")
	w.set("flush_after", "1s")
	w.set("lap_interval", "1s")
	project = w.Project(t, "group/app")
	w.pushed(project, "group/app", "web")
	w.lost("group/app", "lost")
	w.lost("group/app", "late")
	w.begin()
	w.producer()
	w.consumer()
	w.await("a first look", func() bool { return w.counts().Looked == 1 })
	if got := w.counts(); got.Completed != 0 || got.Pending != 1 || !got.Balanced() {
		t.Errorf("between the looks: %+v, want the project pending", got)
	}
	return w, project
}

// due lets the time between the looks have passed.
func (w *world) due() {
	w.t.Helper()
	w.Exec(w.t, `UPDATE regmend.looks SET looked_at = looked_at - interval '1 hour'`)
	w.Exec(w.t, `UPDATE regmend.looked_repositories SET looked_at = looked_at - interval '1 hour'`)
}

// wantMissing waits for the project's result, and compares its names.
func (w *world) wantMissing(want string) {
	w.t.Helper()
	w.await("the project is completed", w.completed(1))
	const missing = `SELECT d.missing_count || coalesce((SELECT string_agg(' ' || name, '' ORDER BY name) FROM regmend.missing_repositories), '')
		FROM regmend.data_repair_details d`
	if got := w.Value(w.t, missing); got != want {
		w.t.Errorf("missing are %q, want %q", got, want)
	}
	if got := w.Value(w.t, `SELECT count(*) FROM regmend.looks`); got != "0" {
		w.t.Errorf("%s looks are left", got)
	}
}

func TestWhatIsMissingTwiceIsCounted(t *testing.T) {
	w, _ := looking(t)
	w.during(2*time.Second, "it is listed once until then", func() bool { return w.listings("group/app") == 1 })
	w.due()
	w.wantMissing("2 late lost")
}

func TestARowMadeBetweenTheLooksCounts(t *testing.T) {
	w, project := looking(t)
	w.Repository(t, project, "late")
	w.due()
	w.wantMissing("1 lost")
}

func TestWhatIsDeletedBetweenTheLooksIsNotCounted(t *testing.T) {
	w, _ := looking(t)
	w.registry.Delete("group/app/late")
	w.registry.Delete("group/app/lost")
	w.due()
	w.wantMissing("0")
}

func TestWhatTheSecondLookSeesFirstIsLookedAtAgain(t *testing.T) {
	w, _ := looking(t)
	first := w.Value(t, `SELECT scan_number FROM regmend.looks`)
	w.lost("group/app", "new")
	w.due()
	w.await("another look", func() bool { return w.Value(t, `SELECT scan_number FROM regmend.looks`) != first })
	if got := w.counts(); got.Completed != 0 || got.Looked != 1 {
		t.Errorf("%+v, want the project to be looked at again", got)
	}
	w.due()
	w.wantMissing("3 late lost new")
}

func TestAProjectRenamedBetweenTheLooksIsLookedAtTwice(t *testing.T) {
	w, _ := looking(t)
	first := w.Value(t, `SELECT scan_number FROM regmend.looks`)
	w.lost("group/moved", "lost")
	w.Exec(t, `UPDATE public.routes SET path = 'group/moved' WHERE path = 'group/app'`)
	w.due()
	w.await("a first look under the new path", func() bool {
		return w.Value(t, `SELECT coalesce(max(scan_number), 0) FROM regmend.looks WHERE full_path = 'group/moved'`) > first
	})
	if got := w.counts(); got.Completed != 0 {
		t.Errorf("%+v, want that what the old path missed confirms nothing", got)
	}
	w.due()
	w.wantMissing("1 lost")
}

// confirms is what the queue of second looks holds.
func (w *world) confirms() *asynq.QueueInfo {
	w.t.Helper()
	info, err := tasks.Info(asynq.NewInspectorFromRedisClient(w.redis), tasks.QueueConfirm)
	if err != nil {
		w.t.Fatal(err)
	}
	return info
}

func TestASecondLookIsATaskOfItsOwn(t *testing.T) {
	w := newWorld(t)
	w.set("confirm_after", "1s")
	w.set("flush_after", "1s")
	project := w.Project(t, "group/app")
	w.lost("group/app", "lost")
	run := w.begin()
	w.consumer() // and no producer, whose lap would find it as well
	w.enqueue("first", tasks.Scan{Run: run.ID, IDs: []int64{project}})
	w.wantMissing("1 lost")
	if got := w.listings("group/app"); got != 2 {
		t.Errorf("%d listings, want 2", got)
	}
	w.await("its task is done", func() bool { return w.confirms().Completed == 1 })
	apart := w.Value(t, `SELECT updated_at - (SELECT started_at FROM regmend.runs) > interval '1 s' FROM regmend.data_repair_details`)
	if apart != "true" {
		t.Error("there was less than a second between the looks")
	}
}

func TestASecondLookThatBeginsTooEarlyIsPutOff(t *testing.T) {
	w := newWorld(t)
	w.set("confirm_after", "2s")
	w.set("flush_after", "1s")
	project := w.Project(t, "group/app")
	w.lost("group/app", "lost")
	run := w.begin()
	w.consumer()
	w.enqueue("first", tasks.Scan{Run: run.ID, IDs: []int64{project}})
	w.await("a first look", func() bool { return w.counts().Looked == 1 })
	early := tasks.Scan{Run: run.ID, IDs: []int64{project}, After: run.Scan}
	if err := tasks.EnqueueConfirm(t.Context(), tasks.NewClient(w.redis), early, 0); err != nil {
		t.Fatal(err)
	}
	w.wantMissing("1 lost")
	if got := w.listings("group/app"); got != 2 {
		t.Errorf("%d listings, want 2", got)
	}
}

func TestALostSecondLookIsMadeByTheNextLap(t *testing.T) {
	w, _ := looking(t)
	w.await("the second look is enqueued", func() bool { return w.confirms().Scheduled == 1 })
	if err := w.redis.FlushAll(t.Context()).Err(); err != nil {
		t.Fatal(err)
	}
	w.due()
	w.wantMissing("2 late lost")
}

func TestANewRunLooksTwiceAnew(t *testing.T) {
	w, _ := looking(t)
	w.due()
	run := w.begin()
	w.await("a first look of the new run", func() bool {
		return w.Value(t, `SELECT coalesce(max(run_id), 0)::text FROM regmend.looks`) == w.Value(t, `SELECT $1::text`, run.ID) || w.counts().Completed > 0
	})
	if got := w.counts(); got.Completed != 0 {
		t.Errorf("%+v, want that the look of another run confirms nothing", got)
	}
	w.due()
	w.wantMissing("2 late lost")
}

func TestWhatIsTooYoungIsNotCountedUntilItIsOldEnough(t *testing.T) {
	w := newWorld(t)
	w.set("min_age", "1h")
	w.set("flush_after", "1s")
	w.set("lap_interval", "1s")
	w.Project(t, "group/app")
	w.lost("group/app", "old")
	w.lost("group/app", "young")
	w.registry.SetCreated("group/app/old", time.Now().Add(-2*time.Hour))
	w.begin()
	w.producer()
	w.consumer()
	w.wantMissing("1 old")
	if got := w.Value(t, `SELECT name || ' ' || (d.look_again_at = y.created_at + interval '1 hour')
		FROM regmend.young_repositories y JOIN regmend.data_repair_details d USING (project_id)`); got != "young true" {
		t.Errorf("too young is %q", got)
	}
	w.registry.SetCreated("group/app/young", time.Now().Add(-time.Hour))
	w.Exec(t, `UPDATE regmend.data_repair_details SET look_again_at = look_again_at - interval '1 hour'`)
	w.await("it is counted", func() bool { return w.counts().MissingTotal == 2 })
	w.wantMissing("2 old young")
}

func TestWhatIsForcedIsLookedAtTwice(t *testing.T) {
	w, project := looking(t)
	w.due()
	w.wantMissing("2 late lost")
	w.lost("group/app", "new")
	state, err := w.DB.State(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	w.enqueue("forced", tasks.Scan{Run: state.Run.ID, IDs: []int64{project}, After: state.Scan})
	w.await("a first look", func() bool { return w.Value(t, `SELECT count(*) FROM regmend.looks`) == "1" })
	if got := w.counts(); got.Completed != 1 || got.MissingTotal != 2 {
		t.Errorf("%+v, want that the older result stands", got)
	}
	w.due()
	w.await("the new one is counted", func() bool { return w.counts().MissingTotal == 3 })
}

func TestTheCandidatesOfASweepAreLookedAtAgain(t *testing.T) {
	w := newWorld(t)
	w.set("confirm_after", "1h")
	w.set("strategy", "sweep")
	w.set("flush_after", "1s")
	w.set("lap_interval", "1s")
	w.projects(20)
	w.begin()
	w.producer()
	w.consumer()
	w.await("first looks, and zeros", func() bool { return w.counts().Looked == 2 && w.counts().Completed == 18 })
	if got := w.counts().MissingTotal; got != 0 {
		t.Errorf("%d are counted as missing, want none before the second look", got)
	}
	w.await("the second looks are enqueued", func() bool { return w.confirms().Scheduled > 0 })
	w.due()
	w.await("all projects are completed", w.completed(20))
	w.checkApps(20)
}
