package main

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"time"
)

// repairVerdict is what was found wrong with repairs.
type repairVerdict struct {
	looked       bool     // there were repairs
	doubled      []string // rows inserted twice
	strangers    []string // rows touched that are not regmend's
	against      []string // rows inserted although something spoke against it
	unjournalled []string // rows inserted or removed of which no item knows
	unbalanced   []string // items that do not add up, or say what is not so
	leftBehind   []string // rows that undo left without a reason
}

func (v *repairVerdict) counts() []tally {
	if !v.looked {
		return nil
	}
	return []tally{
		{"rows inserted twice", v.doubled},
		{"rows touched that are not ours", v.strangers},
		{"rows inserted against the rules", v.against},
		{"rows changed without a journal", v.unjournalled},
		{"items out of balance", v.unbalanced},
		{"rows left behind by undo", v.leftBehind},
	}
}

// itemKey is an item of a plan.
type itemKey struct {
	plan   int64
	number int
}

func (s stage) key() itemKey { return itemKey{s.Plan, s.Number} }

// repairOracle goes through what was seen of repairs in its order.
type repairOracle struct {
	*repairVerdict
	touches []touch
	stages  []stage
	stageOf map[string][]stage // by transaction
	touchOf map[string][]touch
	ours    map[int64]touch   // by row: how regmend inserted what stands
	item    map[int64]itemKey // whose it is
	stands  map[itemKey]int64 // the row that an item has inserted and not removed
}

// repairs judges what repairs did.
func (o *oracle) repairs(log repairLog) {
	if len(log.touches)+len(log.stages) == 0 {
		return
	}
	o.looked = true
	r := &repairOracle{
		repairVerdict: &o.repairVerdict, touches: log.touches, stages: log.stages,
		stageOf: map[string][]stage{}, touchOf: map[string][]touch{},
		ours: map[int64]touch{}, item: map[int64]itemKey{}, stands: map[itemKey]int64{},
	}
	slices.SortStableFunc(r.touches, func(a, b touch) int { return cmp.Compare(a.ID, b.ID) })
	slices.SortStableFunc(r.stages, func(a, b stage) int { return cmp.Compare(a.ID, b.ID) })
	for _, s := range r.stages {
		r.stageOf[s.XID] = append(r.stageOf[s.XID], s)
	}
	for _, t := range r.touches {
		r.touchOf[t.XID] = append(r.touchOf[t.XID], t)
	}
	for _, t := range r.touches {
		r.touch(t)
	}
	r.balance()
	for _, s := range r.stages {
		r.stage(s)
	}
	r.undone()
}

// touch judges one change of GitLab's rows.
func (r *repairOracle) touch(t touch) {
	switch {
	case t.Role != runtimeRole:
		if t.Op == "DELETE" && !t.Referrer {
			delete(r.ours, t.Row)
		}
	case t.Referrer || t.Op == "UPDATE":
		r.strangers = append(r.strangers, t.String())
	case t.Op == "INSERT":
		r.insertion(t)
	default:
		r.removal(t)
	}
}

func (r *repairOracle) insertion(t touch) {
	for id, other := range r.ours {
		if other.Project == t.Project && other.Name == t.Name {
			r.doubled = append(r.doubled, fmt.Sprintf("%s: row %d of it stands", t, id))
		}
	}
	r.ours[t.Row] = t
	if len(t.Against) > 0 {
		r.against = append(r.against, fmt.Sprintf("%s: %q", t, []string(t.Against)))
	}
	i := slices.IndexFunc(r.stageOf[t.XID], func(s stage) bool {
		return s.State == "applied" && s.Row == t.Row && s.Project == t.Project && s.Name == t.Name
	})
	if i < 0 {
		r.unjournalled = append(r.unjournalled, t.String())
		return
	}
	key := r.stageOf[t.XID][i].key()
	if row := r.stands[key]; row != 0 {
		r.doubled = append(r.doubled, fmt.Sprintf("%s: item %d of plan %d had inserted row %d", t, key.number, key.plan, row))
	}
	r.item[t.Row], r.stands[key] = key, t.Row
}

func (r *repairOracle) removal(t touch) {
	inserted, own := r.ours[t.Row]
	switch {
	case !own:
		r.strangers = append(r.strangers, fmt.Sprintf("%s: no repair inserted it", t))
	case inserted.New != t.Old:
		r.strangers = append(r.strangers, fmt.Sprintf("%s: it was %s, and then %s", t, inserted.New, t.Old))
	}
	undone := slices.ContainsFunc(r.stageOf[t.XID], func(s stage) bool { return s.State == "undone" && s.Row == t.Row })
	if !undone {
		r.unjournalled = append(r.unjournalled, t.String())
	}
	delete(r.ours, t.Row)
	delete(r.stands, r.item[t.Row])
}

// balance counts the items of each plan after each of their changes: it planned what
// it was made with, and nothing comes to that or gets lost.
func (r *repairOracle) balance() {
	planned := map[int64]int{}
	made := map[int64]string{} // by which transaction
	now := map[itemKey]string{}
	counts := map[int64]int{}
	for _, s := range r.stages {
		if made[s.Plan] == "" {
			made[s.Plan] = s.XID
		}
		if now[s.key()] != "" && now[s.key()] != "refused" {
			counts[s.Plan]--
		}
		now[s.key()] = s.State
		if s.Op == "DELETE" {
			delete(now, s.key())
		} else if s.State != "refused" {
			counts[s.Plan]++
		}
		if s.XID == made[s.Plan] {
			planned[s.Plan] = counts[s.Plan]
		}
		if counts[s.Plan] != planned[s.Plan] {
			r.unbalanced = append(r.unbalanced, fmt.Sprintf("%s: %d planned, %d in all", s, planned[s.Plan], counts[s.Plan]))
		}
	}
}

// stage holds an item to what it says: that its row was inserted or removed in the
// same transaction, and why if it was not.
func (r *repairOracle) stage(s stage) {
	has := func(op string) bool {
		return slices.ContainsFunc(r.touchOf[s.XID], func(t touch) bool {
			return !t.Referrer && t.Role == runtimeRole && t.Op == op && t.Row == s.Row && t.Project == s.Project && t.Name == s.Name
		})
	}
	switch s.State {
	case "skipped", "failed", "kept":
		if s.Reason == "" {
			r.unbalanced = append(r.unbalanced, fmt.Sprintf("%s: without a reason", s))
		}
	case "applied":
		if s.Was == "open" && s.Via == "sql" && !has("INSERT") {
			r.unbalanced = append(r.unbalanced, fmt.Sprintf("%s: no row was inserted with it", s))
		}
	case "undone":
		if s.Was != "undone" && !has("DELETE") {
			r.unbalanced = append(r.unbalanced, fmt.Sprintf("%s: no row was removed with it", s))
		}
	}
}

// undone complains of items of undone plans whose rows stand although nobody else
// touched them.
func (r *repairOracle) undone() {
	last := map[itemKey]stage{}
	for _, s := range r.stages {
		last[s.key()] = s
	}
	keys := slices.SortedFunc(maps.Keys(last), func(a, b itemKey) int {
		return cmp.Or(cmp.Compare(a.plan, b.plan), cmp.Compare(a.number, b.number))
	})
	for _, key := range keys {
		s := last[key]
		left := s.State == "applied" && s.Ordered == "undoing" || s.State == "kept" && s.Doubt == "" && !r.disturbed(s)
		if left {
			r.leftBehind = append(r.leftBehind, fmt.Sprintf("%s: row %d stands: %q", s, s.Row, s.Reason))
		}
	}
}

// disturbed tells whether somebody else had a hand in the item's row by then.
func (r *repairOracle) disturbed(s stage) bool {
	return slices.ContainsFunc(r.touches, func(t touch) bool {
		return t.Row == s.Row && t.Role != runtimeRole && (t.Op != "INSERT" || t.Referrer) && t.At.Before(s.At.Add(late))
	})
}

// rescans are those that repairs asked for: of a project whose row they inserted or
// removed, until it was noted that a scan is to see it.
func (log repairLog) rescans() (forces []forced) {
	for i, s := range log.stages {
		if s.Was == s.State || s.State != "applied" && s.State != "undone" {
			continue
		}
		f := forced{ids: map[int64]bool{s.Project: true}, least: s.Scan - 1, most: 1 << 40}
		for _, later := range log.stages[i:] {
			if later.key() == s.key() && later.RescanAfter > 0 {
				f.most = later.RescanAfter
				break
			}
		}
		forces = append(forces, f)
	}
	return forces
}

// know takes the changes of GitLab's rows into what was so of their projects.
func (t *truth) know(touches []touch) {
	byProject := map[int64][]touch{}
	for _, found := range touches {
		if !found.Referrer && found.Op != "UPDATE" {
			byProject[found.Project] = append(byProject[found.Project], found)
		}
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	versions := t.epochs[len(t.epochs)-1]
	for id, changes := range byProject {
		if len(versions[id]) > 0 {
			versions[id] = withRows(versions[id], changes)
		}
	}
}

// withRows are versions with the rows as the changes have them. Their paths stay.
func withRows(versions []version, changes []touch) (all []version) {
	slices.SortStableFunc(changes, func(a, b touch) int {
		return cmp.Or(a.Committed.Compare(b.Committed), cmp.Compare(a.ID, b.ID))
	})
	now := version{rows: versions[0].rows}
	step := func(from time.Time) {
		now.from = from
		all = append(all, now)
	}
	for len(versions)+len(changes) > 0 {
		if len(changes) == 0 || len(versions) > 0 && !versions[0].from.After(changes[0].Committed) {
			now.path = versions[0].path
			step(versions[0].from)
			versions = versions[1:]
			continue
		}
		now.rows = maps.Clone(now.rows)
		if now.rows == nil {
			now.rows = map[string]bool{}
		}
		if changes[0].Op == "INSERT" {
			now.rows[changes[0].Name] = true
		} else {
			delete(now.rows, changes[0].Name)
		}
		step(changes[0].Committed)
		changes = changes[1:]
	}
	return all
}
