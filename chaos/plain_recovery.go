package main

import (
	"slices"
	"time"
)

// plainLimit is how long a task may be away before it counts as lost.
const plainLimit = 120 * time.Second

// plainRecovery is how plain asynq bore a fault.
type plainRecovery struct {
	// Running is how many tasks were under way while the fault lasted.
	Running int
	// Took is how long after the fault the last of them had begun again or
	// ended, of those that are neither lost nor open.
	Took time.Duration
	// Resumed is how long after the fault a task that began later had ended; 0
	// if none has.
	Resumed time.Duration
	// Lost is how many tasks, running or waiting, were not heard of again within
	// plainLimit; Open is how many might yet be.
	Lost, Open int
	// Again is how many tasks had ended and began again all the same.
	Again int
}

// plainWatch is a fault that plain asynq had too.
type plainWatch struct {
	p           *plain
	from, since time.Time
}

// watch is for a fault that began at from, before anything was done, and was
// over at since; for a kill the two are the same. It costs nothing.
func (p *plain) watch(from, since time.Time) plainWatch { return plainWatch{p, from, since} }

// recovery is what is known by now. It is final when plainLimit is over.
func (w plainWatch) recovery() (plainRecovery, error) {
	events, err := w.p.events()
	return judgePlain(events, w.from, w.since, time.Now()), err
}

// plainRun is one time that a task was worked on.
type plainRun struct {
	begun time.Time
	over  time.Time // zero while it goes on
	ended bool      // as against left or killed
}

// within tells whether it was under way at some moment between the two.
func (r plainRun) within(from, since time.Time) bool {
	return !r.begun.After(since) && (r.over.IsZero() || !r.over.Before(from))
}

// plainTask is what happened to a task.
type plainTask struct {
	enqueued time.Time
	place    int // in the queue
	runs     []plainRun
}

// plainTasks tells what happened to each task, from all events in order.
func plainTasks(events []plainEvent) map[string]*plainTask {
	tasks := map[string]*plainTask{}
	for i, e := range events {
		if e.Event == plainKilled {
			for _, t := range tasks {
				t.stop(e)
			}
			continue
		}
		t := tasks[e.Task]
		if t == nil {
			t = &plainTask{enqueued: e.Time, place: -1}
			tasks[e.Task] = t
		}
		switch e.Event {
		case plainEnqueued:
			t.enqueued, t.place = e.Time, i
		case plainBegun:
			t.runs = append(t.runs, plainRun{begun: e.Time})
		default:
			t.stop(e)
		}
	}
	return tasks
}

// stop ends the run that began last, if it goes on.
func (t *plainTask) stop(e plainEvent) {
	if n := len(t.runs); n > 0 && t.runs[n-1].over.IsZero() {
		t.runs[n-1].over, t.runs[n-1].ended = e.Time, e.Event == plainEnded
	}
}

// heard is when the task was heard of after its i-th run was under way: it
// ended, or began again. Zero if it never was.
func (t *plainTask) heard(i int) time.Time {
	switch {
	case t.runs[i].ended:
		return t.runs[i].over
	case i+1 < len(t.runs):
		return t.runs[i+1].begun
	default:
		return time.Time{}
	}
}

// last is the last of the runs between the two; -1 if there is none.
func (t *plainTask) last(from, since time.Time) int {
	for i, run := range slices.Backward(t.runs) {
		if run.within(from, since) {
			return i
		}
	}
	return -1
}

// repeated tells whether a run between the two ended and another one followed
// before the limit.
func (t *plainTask) repeated(from, since, limit time.Time) bool {
	for i, run := range t.runs {
		if run.ended && run.within(from, since) && i+1 < len(t.runs) && !t.runs[i+1].begun.After(limit) {
			return true
		}
	}
	return false
}

// begunBy tells whether it had begun for the first time by then.
func (t *plainTask) begunBy(then time.Time) bool {
	return len(t.runs) > 0 && !t.runs[0].begun.After(then)
}

// reached is the last place of the queue whose task had begun by then. Tasks
// before it that had not have been passed over.
func reached(tasks map[string]*plainTask, then time.Time) int {
	place := -1
	for _, t := range tasks {
		if t.begunBy(then) {
			place = max(place, t.place)
		}
	}
	return place
}

// judgePlain tells how a fault was borne, from all events in order.
func judgePlain(events []plainEvent, from, since, now time.Time) plainRecovery {
	tasks := plainTasks(events)
	limit := since.Add(plainLimit)
	passed, passing := reached(tasks, from), reached(tasks, limit)
	var r plainRecovery
	for _, t := range tasks {
		r.resume(t, since)
		if i := t.last(from, since); i >= 0 {
			r.Running++
			if heard := t.heard(i); r.settle(heard, limit, now) {
				r.Took = max(r.Took, heard.Sub(since))
			}
			if t.repeated(from, since, limit) {
				r.Again++
			}
		} else if passed < t.place && t.place < passing && !t.enqueued.After(since) && !t.begunBy(limit) {
			r.settle(time.Time{}, limit, now)
		}
	}
	return r
}

// settle tells whether the task was heard of in time, and counts it if not.
func (r *plainRecovery) settle(heard, limit, now time.Time) bool {
	switch {
	case !heard.IsZero() && !heard.After(limit):
		return true
	case now.Before(limit):
		r.Open++
	default:
		r.Lost++
	}
	return false
}

// resume looks for the first end of a run that began after the fault.
func (r *plainRecovery) resume(t *plainTask, since time.Time) {
	for _, run := range t.runs {
		if took := run.over.Sub(since); run.ended && !run.begun.Before(since) && (r.Resumed == 0 || took < r.Resumed) {
			r.Resumed = took
		}
	}
}
