package slots

import (
	"cmp"
	"context"
	"slices"
	"time"
)

// Run renews, grants and gives up slots until ctx ends. Then it grants nothing
// more, goes on renewing until the slots in use are released (their owners were
// told to stop in their own way) and gives them back. It returns nil.
func (p *Pool) Run(ctx context.Context) error {
	// What is in flight outlives ctx; each look has a timeout.
	looks := context.WithoutCancel(ctx)
	outage, stopping := false, false
	stop := ctx.Done()
	for {
		outage = p.look(looks, outage)
		pause, done := p.pause(outage, stopping)
		if done {
			return nil
		}
		timer := time.NewTimer(pause)
		select {
		case <-p.wake:
		case <-timer.C:
		case <-stop:
			stop, stopping = nil, true
			close(p.stopped)
		}
		timer.Stop()
	}
}

// pause is how long to wait before the next look, and whether there is none.
// Only somebody else's slot that becomes free is worth a poll: there is none
// while this process has them all.
func (p *Pool) pause(outage, stopping bool) (pause time.Duration, done bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case stopping && len(p.held) == 0 && (len(p.back) == 0 || outage):
		return 0, true // what an absent Redis was not told ends by itself
	case (len(p.waiting) > 0 && len(p.held) < p.allowed || len(p.held) > 0 && p.cfg.Budget.limited()) && !outage:
		return p.cfg.Poll, false
	default:
		return p.cfg.Renew, false
	}
}

// look asks Redis once and acts on the answer. It returns whether Redis was
// away, which is logged when it begins and when it ends.
func (p *Pool) look(ctx context.Context, outage bool) bool {
	limits := p.limits()
	limits.Slots = max(0, limits.Slots)
	if limits.Slots > 0 {
		p.cfg.Budget.set(limits.PerSecond)
	}
	p.allow(limits.Slots)
	q := p.question(limits.Slots)
	// The first look is made in any case: where Redis is new to slots it begins
	// the quiet lease, which may be over when somebody wants one. After that an
	// idle process costs Redis nothing.
	if p.known && len(q.Held)+len(q.Back)+len(q.Wanted) == 0 {
		return outage
	}
	ctx, cancel := context.WithTimeout(ctx, p.cfg.Timeout)
	defer cancel()
	// A lease is counted from before it was asked for: Redis counts from later.
	asked := time.Now()
	a, err := q.put(ctx, p.rdb, p.keys)
	if err != nil {
		if !outage {
			p.log.WithError(err).Warn("redis is away: no slot is granted")
		}
		return true
	}
	if outage {
		p.log.Info("redis is back: slots are granted")
	}
	p.known = true
	p.apply(q, a, asked)
	now := time.Now()
	p.cfg.Budget.fill(q.Budget, a.rights, asked, now)
	if len(a.rights.granted) > 0 {
		p.tellLate(now.Sub(asked) >= validFor)
	}
	return false
}

// tellLate logs when Redis begins to answer too slowly for its rights to be of
// use, and when that ends.
func (p *Pool) tellLate(late bool) {
	if late == p.late {
		return
	}
	p.late = late
	if late {
		p.log.Warn("redis answers too slowly: fewer requests are sent than requests_per_second allows")
	} else {
		p.log.Info("redis answers fast enough for requests_per_second")
	}
}

// question tells Redis what this process holds, gives back and wants.
func (p *Pool) question(limit int) question {
	p.mu.Lock()
	defer p.mu.Unlock()
	q := question{
		Process: p.process, Limit: limit,
		Lease:    p.cfg.Lease.Milliseconds(),
		Patience: p.cfg.Patience.Milliseconds(),
		Away:     awayAfter * p.cfg.Poll.Milliseconds(),
		TTL:      (idleTTL + p.cfg.Lease).Milliseconds(),
		Held:     []heldSlot{}, Back: []string{}, Wanted: []string{},
		Budget: p.cfg.Budget.ask(p.cfg.Poll),
	}
	for _, s := range p.held {
		q.Held = append(q.Held, heldSlot{Token: s.token, Age: s.age})
	}
	for token := range p.back {
		q.Back = append(q.Back, token)
	}
	if limit > 0 {
		// One more than there can be tells that others wait.
		for _, s := range p.waiting[:min(len(p.waiting), limit+1)] {
			q.Wanted = append(q.Wanted, s.token)
		}
	}
	return q
}

// apply acts on the answer to q, which was put at the time asked.
func (p *Pool) apply(q question, a answer, asked time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, token := range q.Back {
		delete(p.back, token)
	}
	until := asked.Add(p.cfg.Lease - p.cfg.Margin)
	for _, h := range q.Held {
		if s, ok := p.held[h.Token]; ok {
			s.deadline.Reset(time.Until(until))
		}
	}
	for _, token := range a.lost {
		p.abandon(token, ErrLost)
	}
	for _, g := range a.granted {
		p.grant(g, until)
	}
	for _, token := range a.surplus {
		p.abandon(token, ErrSurplus)
	}
}

// grant gives the slot to whoever waits for it; if that one left meanwhile, its
// token is already among those to give back. It needs p.mu.
func (p *Pool) grant(g heldSlot, until time.Time) {
	i := slices.IndexFunc(p.waiting, func(s *slot) bool { return s.token == g.Token })
	if i < 0 {
		return
	}
	s := p.waiting[i]
	p.waiting = slices.Delete(p.waiting, i, i+1)
	s.age = g.Age
	s.deadline = time.AfterFunc(time.Until(until), func() { s.cancel(ErrLost) })
	p.held[s.token] = s
	close(s.granted)
}

// abandon cancels a slot of this process and leaves others' alone. The slot is
// held on to until it is released: until then requests are in flight. It needs
// p.mu.
func (p *Pool) abandon(token string, cause error) {
	if s, ok := p.held[token]; ok {
		s.cancel(cause)
	}
}

// allow takes note of the limit, and gives up the slots by which this process
// alone exceeds it, also while Redis is away; the rest of a surplus only Redis
// can tell.
func (p *Pool) allow(limit int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.allowed = limit
	if len(p.held) <= limit {
		return
	}
	var young []*slot
	for _, s := range p.held {
		young = append(young, s)
	}
	slices.SortFunc(young, func(a, b *slot) int { return cmp.Compare(b.age, a.age) })
	for _, s := range young[:len(young)-limit] {
		s.cancel(ErrSurplus)
	}
}
