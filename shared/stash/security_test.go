package stash_test

import (
	"context"
	"fmt"
	"testing"

	"regmend/shared/gitlab"
	"regmend/shared/stash"
)

// A foreign hand may write anything into the stash: none of it ends a process,
// or keeps a result from coming through.
func TestAStashWithForeignEntriesGoesOn(t *testing.T) {
	ctx := context.Background()
	for _, text := range []string{"", "x", "-1", "1e9", "nan", "99999999999999999999", "\x00\xff", "1.5"} {
		t.Run(text, func(t *testing.T) {
			s, rdb := open(t, stash.Config{})
			put(t, s, completed(1, 1))
			for i, value := range []string{"", "{", "null", `{"run":1,"scan":1e400}`, `{"status":"completed","scan":5,"project":{"id":9}}`} {
				rdb.HSet(ctx, "regmend:stash:results", fmt.Sprint(i, text), value)
				rdb.Do(ctx, "ZADD", "regmend:stash:order", fmt.Sprint(float64(i)+0.5), fmt.Sprint(i, text))
			}
			rdb.HSet(ctx, "regmend:stash:size", "bytes", text, "since", text)
			if got := state(t, s); got.Entries != 6 || got.Age < 0 || got.Bytes < 0 {
				t.Errorf("State() = %+v", got)
			}
			put(t, s, completed(2, 2))
			seen := map[gitlab.Project]bool{}
			for range 10 {
				results, err := s.Oldest(ctx, 10)
				for _, r := range results {
					seen[r.Project] = true
				}
				if err == nil {
					ack(t, s, results...)
				}
			}
			if len(seen) != 2 || state(t, s).Entries != 0 {
				t.Errorf("seen: %v, left: %+v", seen, state(t, s))
			}
		})
	}
}
