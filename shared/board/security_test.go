package board_test

import (
	"context"
	"testing"
	"time"

	"regmend/shared/board"
)

// illegible is what a foreign hand may leave in the place of a notice.
func illegible() []string {
	return []string{"", "{", "-5", `"x"`, "[]", `{"run":"x","scan":{},"since":5,"at":"never","lap":1e400}`, "\xff\x00", "nan", "1e9"}
}

// What nobody of ours wrote is as good as nothing: it stops no process, and is
// replaced by the next one who has something to say.
func TestIllegibleNoticesAreNone(t *testing.T) {
	for _, text := range illegible() {
		t.Run(text, func(t *testing.T) {
			b, rdb := open(t)
			ctx := context.Background()
			for _, key := range []string{"control", "witness", "catalog", "walk", "counters", "hold:run", "hold:registry", "hold:catalog", "hold:postgres", "hold:witness"} {
				must(t, rdb.Set(ctx, "regmend:"+key, text, 0).Err())
			}
			must(t, rdb.HSet(ctx, "regmend:run", "run", text, "scan", text).Err())
			if _, ok, err := b.Control(ctx, 3); ok || err != nil {
				t.Errorf("Control() = %v, %v", ok, err)
			}
			if _, err := b.Notices(ctx); err != nil {
				t.Errorf("Notices() = %v", err)
			}
			mustBeReplaced(t, b)
		})
	}
}

func mustBeReplaced(t *testing.T, b *board.Board) {
	t.Helper()
	ctx := context.Background()
	if mark, err := b.Raise(ctx, board.RunMark{Run: 3, Scan: 7}); err != nil || mark != (board.RunMark{Run: 3, Scan: 7}) {
		t.Errorf("Raise() = %v, %v", mark, err)
	}
	from, _, err := b.Walk(ctx)
	must(t, err)
	if ok, err := b.AdvanceWalk(ctx, from, board.Walk{Run: 3, Lap: 1}); !ok || err != nil {
		t.Errorf("AdvanceWalk() = %v, %v", ok, err)
	}
	must(t, b.SetWitness(ctx, board.Witness{Run: 3}, time.Minute))
	must(t, b.SetCounters(ctx, board.Counters{Run: 3}))
	must(t, b.SetControl(ctx, 3, "g/app"))
	must(t, b.SetHold(ctx, board.Hold{Kind: board.HoldRegistry, Reason: "503"}, time.Minute))
	n, err := b.Notices(ctx)
	if err != nil || n.Hold.Reason != "503" || n.Run.Run != 3 || n.Witness.Run != 3 {
		t.Errorf("Notices() = %+v, %v", n, err)
	}
}

// Every process finds out for itself whether Postgres and the run are as they
// should be: another's word on them must not hide the registry's.
func TestNoOtherHoldHidesTheRegistrys(t *testing.T) {
	b, rdb := open(t)
	ctx := context.Background()
	must(t, b.SetHold(ctx, board.Hold{Kind: board.HoldPostgres, Reason: "away"}, time.Minute))
	must(t, b.SetHold(ctx, board.Hold{Kind: board.HoldCatalog, Reason: "it lacks g/app"}, time.Minute))
	must(t, b.SetHold(ctx, board.Hold{Kind: board.HoldRegistry, Reason: "429"}, time.Minute))
	must(t, rdb.Set(ctx, "regmend:hold:run", `{"kind":"registry","reason":"forged"}`, 0).Err())
	n, err := b.Notices(ctx)
	if err != nil || n.Hold.Reason != "429" {
		t.Errorf("Notices().Hold = %+v, %v, want the registry's", n.Hold, err)
	}
	must(t, b.ClearHold(ctx, board.HoldRegistry))
	n, err = b.Notices(ctx)
	if err != nil || n.Hold.Reason != "it lacks g/app" {
		t.Errorf("Notices().Hold = %+v, %v, want the catalog's", n.Hold, err)
	}
}
