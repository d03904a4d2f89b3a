package main

import (
	"context"
	"fmt"
	"slices"
	"time"

	"regmend/shared/gitlab/gitlabtest"
	"regmend/shared/servers"
)

// judge lets regmend finish and holds all that was seen against what is
// promised.
func (r *pass) judge(ctx context.Context) (*verdict, error) {
	s, restErr := r.rest(ctx)
	if ctx.Err() != nil {
		return nil, restErr
	}
	r.tell("regmend has finished; everything is looked at")
	seen, err := r.secretsSeen(ctx)
	if err != nil {
		return nil, err
	}
	if err := r.witness.look(ctx); err != nil {
		return nil, err
	}
	v := r.witness.judge(r.forces.all, r.redis.lost(), r.registry.pages())
	v.secrets = seen
	v.overCap = r.caps.exceeded(r.registry.requests())
	if restErr != nil {
		v.skipped = append(v.skipped, restErr.Error())
	}
	if err := servers.Await(ctx, "no task that Redis lost is left in the queues", time.Minute, r.redis.clean); err != nil {
		v.others = append(v.others, err.Error())
	}
	if err := r.skipped(ctx, s.Run, &v); err != nil {
		return nil, err
	}
	v.others = append(v.others, r.blamed()...)
	r.judgeAnswers(&v)
	r.judgeRecords(&v)
	return &v, nil
}

// skipped complains of projects whose row is not what it has to be in the end.
func (r *pass) skipped(ctx context.Context, id int64, v *verdict) error {
	want, err := gitlabtest.Outcomes(ctx, r.database.sql, r.registry.tagged(), id)
	if err != nil {
		return err
	}
	results, err := gitlabtest.Results(ctx, r.database.sql)
	if err != nil {
		return err
	}
	if differences := gitlabtest.Differences(want, results); differences != "" {
		v.skipped = append(v.skipped, "in the end (-wanted +found):\n"+differences[:min(len(differences), 4000)])
	}
	return nil
}

// judgeAnswers decides which bad answers were survived: those after which the
// project has its right row. What was never given is no fault.
func (r *pass) judgeAnswers(v *verdict) {
	broken := len(v.skipped)+len(v.wrong)+len(v.unproven) > 0
	r.records = slices.DeleteFunc(r.records, func(rec *record) bool {
		return rec.unmade != "" || rec.answer != nil && !rec.answer.given()
	})
	for _, rec := range r.records {
		if rec.answer == nil {
			continue
		}
		rec.survived = !broken
		if broken {
			rec.why = "a row is wrong, see below"
		}
		if rec.answer.quiet {
			rec.recovery = r.witness.completedAfter(rec.answer, rec.at)
		}
	}
}

// blamed complains of projects that were recorded as failed while something else
// was (P10). Those that got a bad answer of their own, or have no route, may be.
func (r *pass) blamed() (lines []string) {
	spoilt := map[int64]bool{}
	for _, rec := range r.records {
		if rec.answer != nil {
			spoilt[rec.answer.project.ID] = true
		}
	}
	r.witness.mu.Lock()
	defer r.witness.mu.Unlock()
	for _, w := range r.witness.writes {
		fresh := w.New.Failure > 0 && (w.New.Failure > w.Old.Failure || w.New.Run != w.Old.Run)
		if !fresh || spoilt[w.ProjectID] || r.witness.routeless(w) {
			continue
		}
		began := r.witness.began(w.Epoch, w.New.Failure)
		for _, o := range r.outages {
			if began.After(o.begin) && w.At.Before(o.end) {
				lines = append(lines, fmt.Sprintf("%s: %s was marked failed: %s", o.kind, w, w.New.Error))
			}
		}
	}
	return lines
}

// routeless tells whether the project had no route when its result was written.
func (w *witness) routeless(found write) bool {
	versions := w.truth.between(found.Epoch, found.ProjectID, found.At.Add(-late), found.At)
	return slices.ContainsFunc(versions, func(v version) bool { return v.path == "" })
}

// completedAfter is how long after the bad answer was prepared the project's
// row was completed by a later scan.
func (w *witness) completedAfter(a *badAnswer, at time.Time) time.Duration {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, found := range w.writes {
		if found.ProjectID == a.project.ID && found.New.Status == completed && found.Epoch == a.epoch && found.New.Scan > a.scan {
			return found.At.Sub(at)
		}
	}
	return 0
}

// judgeRecords complains of faults that were not survived, and of ends of
// processes that no one asked for.
func (r *pass) judgeRecords(v *verdict) {
	for _, rec := range r.records {
		if !rec.survived {
			v.others = append(v.others, fmt.Sprintf("%s %s (step %d): %s", rec.at.Format("15:04:05"), rec.kind, rec.step, rec.why))
		}
	}
	v.others = append(v.others, r.fleet.strays()...)
	if n := r.registry.strangers(); n > 0 {
		v.others = append(v.others, fmt.Sprintf("%d connections to a foreign host that the registry named", n))
	}
}
