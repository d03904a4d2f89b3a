package main

import (
	"testing"
	"time"
)

// The oracle's world with a plan of one item, which project 1 lacks: made in
// transaction 1, applied in 2, undone in 3.
func repaired() repairLog {
	item := func(id int64, xid, was, state string) stage {
		return stage{
			ID: id, XID: xid, At: clock(int(id)), Op: "UPDATE", Via: "sql", Ordered: "applying", Was: was, State: state,
			Plan: 1, Number: 1, Project: 1, Name: "web", Row: 7,
		}
	}
	made := item(1, "1", "", "open")
	made.Op, made.Ordered, made.Row = "INSERT", "planned", 0
	undone := item(3, "3", "applied", "undone")
	undone.Ordered = "undoing"
	row := touch{Role: runtimeRole, Row: 7, Project: 1, Name: "web"}
	inserted, removed := row, row
	inserted.ID, inserted.XID, inserted.Op, inserted.New, inserted.At = 1, "2", "INSERT", "{}", clock(2)
	removed.ID, removed.XID, removed.Op, removed.Old, removed.At = 2, "3", "DELETE", "{}", clock(3)
	return repairLog{
		touches: []touch{inserted, removed},
		stages:  []stage{made, item(2, "2", "open", "applied"), undone},
	}
}

// gitlabs is a change of the row by somebody else.
func gitlabs(op string, at int) touch {
	return touch{ID: int64(at), XID: "9", Role: "gitlab", Op: op, Row: 7, Project: 1, Name: "web", At: clock(at), Committed: clock(at)}
}

func TestOracleOfRepairs(t *testing.T) {
	kept := func(l *repairLog, reason string) {
		l.touches = l.touches[:1]
		l.stages[2].State, l.stages[2].Reason = "kept", reason
	}
	tests := []struct {
		name   string
		damage func(l *repairLog)
		want   []string // what is counted, once each
	}{
		{"applied and undone", func(*repairLog) {}, nil},
		{"inserted again while it stands", func(l *repairLog) {
			again := l.touches[0]
			again.ID, again.Row = 2, 8
			l.touches = []touch{l.touches[0], again}
			l.stages = l.stages[:2]
		}, []string{"rows inserted twice", "rows changed without a journal"}},
		{"inserted again by an item that was not undone", func(l *repairLog) {
			gone := gitlabs("DELETE", 2)
			again := l.touches[0]
			again.ID, again.XID = 3, "4"
			l.touches = []touch{l.touches[0], gone, again}
			applied := l.stages[1]
			applied.ID, applied.XID = 3, "4"
			l.stages = []stage{l.stages[0], l.stages[1], applied}
		}, []string{"rows inserted twice"}},
		{"a row changed", func(l *repairLog) {
			l.touches = append(l.touches, touch{ID: 3, Role: runtimeRole, Op: "UPDATE", Row: 2})
		}, []string{"rows touched that are not ours"}},
		{"a row that refers to one changed", func(l *repairLog) {
			l.touches = append(l.touches, touch{ID: 3, Role: runtimeRole, Op: "DELETE", Referrer: true, Row: 2})
		}, []string{"rows touched that are not ours"}},
		{"another's row removed", func(l *repairLog) { l.touches[0].Role = "gitlab" }, []string{
			"rows touched that are not ours", "items out of balance",
		}},
		{"a row removed that was changed", func(l *repairLog) { l.touches[1].Old = `{"status": 1}` }, []string{"rows touched that are not ours"}},
		{"inserted in spite of the rules", func(l *repairLog) { l.touches[0].Against = []string{"its clean-up policy is enabled"} }, []string{
			"rows inserted against the rules",
		}},
		{"inserted in another transaction than the journal", func(l *repairLog) { l.touches[0].XID = "8" }, []string{
			"rows changed without a journal", "items out of balance",
		}},
		{"removed in another transaction than the journal", func(l *repairLog) { l.touches[1].XID = "8" }, []string{
			"rows changed without a journal", "items out of balance",
		}},
		{"skipped without a reason", func(l *repairLog) {
			l.touches, l.stages = nil, l.stages[:2]
			l.stages[1].State = "skipped"
		}, []string{"items out of balance"}},
		{"an item more than planned", func(l *repairLog) {
			more := l.stages[0]
			more.ID, more.XID, more.Number = 4, "4", 2
			l.stages = append(l.stages, more)
		}, []string{"items out of balance"}},
		{"an item lost", func(l *repairLog) {
			lost := l.stages[2]
			lost.ID, lost.XID, lost.Op = 4, "4", "DELETE"
			lost.Was = lost.State
			l.stages = append(l.stages, lost)
		}, []string{"items out of balance"}},
		{"undo passes over a row", func(l *repairLog) {
			l.touches = l.touches[:1]
			l.stages[1].Ordered = "undoing"
			l.stages = l.stages[:2]
		}, []string{"rows left behind by undo"}},
		{"kept, and nobody had touched it", func(l *repairLog) { kept(l, "the row was changed since") }, []string{"rows left behind by undo"}},
		{"kept, as somebody had changed it", func(l *repairLog) {
			kept(l, "the row was changed since")
			l.touches = append(l.touches, gitlabs("UPDATE", 2))
		}, nil},
		{"kept, as something referred to it", func(l *repairLog) {
			kept(l, "something refers to it")
			refers := gitlabs("INSERT", 2)
			refers.Referrer = true
			l.touches = append(l.touches, refers)
		}, nil},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			w := newOracleWorld()
			w.repairLog = repaired()
			test.damage(&w.repairLog)
			v := w.judge(nil, nil, catalogPages{})
			found := map[string]int{}
			for _, c := range v.repairVerdict.counts() {
				found[c.what] = len(c.lines)
			}
			for _, what := range test.want {
				if found[what] != 1 {
					t.Errorf("%s: %d, want 1: %v", what, found[what], v.repairVerdict)
				}
				delete(found, what)
			}
			for what, n := range found {
				if n != 0 {
					t.Errorf("%s: %d, want 0: %v", what, n, v.repairVerdict)
				}
			}
		})
	}
}

// Results are held against the rows as repairs have left them, and a rescan that a
// repair asks for repeats nothing.
func TestOracleKnowsWhatRepairsDo(t *testing.T) {
	w := newOracleWorld()
	log := repaired()
	log.touches[0].Committed, log.touches[1].Committed = clock(4), clock(7)
	log.stages[1].Scan = 4
	w.repairLog = repairLog{touches: log.touches[:1], stages: log.stages[:2]}
	whole := with(right(6, 8), func(w *write) { w.New.Missing, w.Missing = 0, nil })
	w.writes = []write{right(2, 3), whole}
	v := w.judge(nil, nil, catalogPages{})
	if len(v.wrong)+len(v.repeated) > 0 {
		t.Errorf("rows wrong: %q; repeated: %q", v.wrong, v.repeated)
	}
	w = newOracleWorld()
	w.writes = []write{right(2, 3), whole}
	if v := w.judge(nil, nil, catalogPages{}); len(v.wrong) != 1 || len(v.repeated) != 1 {
		t.Errorf("without the repair: rows wrong %q, repeated %q; want one each", v.wrong, v.repeated)
	}
	changes := []touch{{Op: "INSERT", Name: "a", Committed: clock(5)}, {Op: "DELETE", Name: "a", Committed: clock(9)}}
	versions := withRows([]version{{path: "g/a"}, {from: clock(7), path: "g/b"}}, changes)
	for i, want := range []struct {
		from time.Time
		path string
		has  bool
	}{{time.Time{}, "g/a", false}, {clock(5), "g/a", true}, {clock(7), "g/b", true}, {clock(9), "g/b", false}} {
		if v := versions[i]; !v.from.Equal(want.from) || v.path != want.path || v.rows["a"] != want.has {
			t.Errorf("version %d is %+v, want %+v", i, v, want)
		}
	}
}

// A second look that confirms a first one, which had begun before another result
// landed, repeats nothing; one that began later does.
func TestOracleOfSecondLooks(t *testing.T) {
	for look, repeated := range map[int64]int{4: 0, 8: 1} {
		w := newOracleWorld()
		w.glances = append(w.glances, glance{ProjectID: 1, Run: 1, Scan: look, Missing: []string{"web"}})
		w.writes = []write{right(3, 6), with(right(9, 9), func(w *write) { w.Old = right(3, 6).New })}
		if v := w.judge(nil, nil, catalogPages{}); len(v.repeated) != repeated {
			t.Errorf("look %d: repeated %q, want %d", look, v.repeated, repeated)
		}
	}
}
