package main

import (
	"context"
	"fmt"
	"slices"
	"time"

	"regmend/shared/gitlab/gitlabtest"
	"regmend/shared/servers"

	"golang.org/x/sync/errgroup"
)

// badAnswer is one that was prepared for the next listing of a project.
type badAnswer struct {
	project gitlabtest.Project
	given   func() bool
	remove  func()
	quiet   bool
	scan    int64 // the last number before
	epoch   int
}

// spoil begins a run, in which every project is to be listed, and prepares the
// step's bad answers.
func (r *pass) spoil(ctx context.Context, s step) error {
	if len(s.singles) == 0 {
		return nil
	}
	if err := r.newRun(ctx, "chaos: a storm begins"); err != nil {
		return err
	}
	scan, epoch, err := r.witness.lastNumber(ctx)
	if err != nil {
		return err
	}
	quiet := len(s.lanes) == 0
	var answers []*badAnswer
	var ids []int64 // one answer each: the next listing may be a minute away
	for i, k := range s.singles {
		for n := range s.times(k) {
			dice := s.dice(r.seed, 100+i, n)
			p := r.pick(dice)
			for slices.Contains(ids, p.ID) {
				p = r.pick(dice)
			}
			a := &badAnswer{project: p, quiet: quiet, scan: scan, epoch: epoch}
			a.given, a.remove = r.registry.spoil(p.FullPath, k.spoil(p, dice))
			r.record(k.name, s.number).answer = a
			answers = append(answers, a)
			ids = append(ids, p.ID)
		}
	}
	r.hasten(ctx, ids)
	if !quiet {
		return nil
	}
	return r.allGiven(ctx, answers, 3*time.Minute)
}

// giveRest has the projects listed for which bad answers still wait, and takes
// back what even then nobody asks for.
func (r *pass) giveRest(ctx context.Context) {
	const patience = 45 * time.Second
	var ids []int64
	var answers []*badAnswer
	for _, rec := range r.records {
		if rec.answer != nil && !rec.answer.given() {
			ids, answers = append(ids, rec.answer.project.ID), append(answers, rec.answer)
		}
	}
	if len(ids) > 0 && r.force(ctx, ids...) == nil {
		_ = r.allGiven(ctx, answers, patience) // some projects are no more
	}
	for _, a := range answers {
		a.remove()
	}
}

// hasten forces the projects a few at a time, so that one that makes everyone
// hold does not keep the others waiting. By force: a sweep may have their results
// first. Some may be deleted by now, and something may be away: then they come up
// by themselves.
func (r *pass) hasten(ctx context.Context, ids []int64) {
	var some errgroup.Group
	some.SetLimit(4)
	for few := range slices.Chunk(ids, 4) {
		some.Go(func() error { return r.force(ctx, few...) })
	}
	_ = some.Wait()
}

// allGiven waits until the bad answers were given.
func (r *pass) allGiven(ctx context.Context, answers []*badAnswer, within time.Duration) error {
	return servers.Await(ctx, "all bad answers are given", within, func(context.Context) (bool, error) {
		for _, a := range answers {
			if !a.given() {
				return false, fmt.Errorf("%s was not listed", a.project.FullPath)
			}
		}
		return true, nil
	})
}
