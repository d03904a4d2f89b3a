package claims_test

import (
	"context"
	"fmt"
	"testing"

	"regmend/shared/claims"

	"github.com/google/go-cmp/cmp"
)

// What a foreign hand left among the claims keeps nobody from working on that
// batch, nor others' batches from being put back.
func TestIllegibleClaimsAreNone(t *testing.T) {
	ctx := context.Background()
	rdb := newRedis(t)
	forged := []string{
		"", "{", "5", "null", "[]", "\xff", `{"process":7}`, `{"process":"dead","token":0,"generation":{},"runs":0}`,
		`{"process":"dead","token":0,"generation":1.5,"runs":0}`, `{"process":"dead","token":0,"generation":1,"runs":0,"queue":3,"payload":[]}`,
		`{"process":"","token":0,"generation":1,"runs":0,"offered":"x","payload":"not base64!"}`,
	}
	for i, text := range forged {
		if err := rdb.HSet(ctx, "regmend:claims", fmt.Sprint("forged-", i), text).Err(); err != nil {
			t.Fatal(err)
		}
	}
	if err := rdb.HSet(ctx, "regmend:claims", batch(1).Name, "{").Err(); err != nil {
		t.Fatal(err)
	}
	other := doomed(t, rdb.Options().Addr) // claims that batch
	a := start(t, rdb, "a")
	if err := other.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(batch(2), back(t, a)); diff != "" {
		t.Errorf("put back (-want +got):\n%s", diff)
	}
	a.claim(t, batch(2))
	eventually(t, "what was forged is gone", func() bool { return rdb.HLen(ctx, "regmend:claims").Val() == 1 })
}

func TestAProcessThatSaysNoInfoIsAProcess(t *testing.T) {
	ctx := context.Background()
	rdb := newRedis(t)
	start(t, rdb, "a")
	eventually(t, "it is there", func() bool { return len(processNames(t, rdb)) == 1 })
	for _, text := range []string{"{", "5", `{"pid":"x"}`, `{"started_at":"never"}`} {
		if err := rdb.HSet(ctx, "regmend:processes:info", "a", text).Err(); err != nil {
			t.Fatal(err)
		}
		got, err := claims.Processes(ctx, rdb)
		if diff := cmp.Diff([]claims.Process{{Name: "a"}}, got); diff != "" || err != nil {
			t.Errorf("Processes() with info %s: %v (-want +got):\n%s", text, err, diff)
		}
	}
}
