package stash_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"regmend/shared/gitlab"
	"regmend/shared/stash"
)

// listing is a result that listed names, of which some are missing.
func listing(id, scan int64, names []string, missing ...string) gitlab.Result {
	r := completed(id, scan, missing...)
	r.Names, r.Listed = names, len(names)
	return r
}

func TestNamesComeBackWithThoseThatAreMissing(t *testing.T) {
	s, rdb := open(t, stash.Config{})
	names := []string{"", "a", "b", "b/c", "ü"}
	want := []gitlab.Result{
		listing(1, 1, names), listing(2, 2, names, names...), listing(3, 3, names, "", "b", "b/c"), listing(4, 4, names, "ü"),
		listing(5, 5, []string{}), completed(6, 6), completed(7, 7, "a", "b"), listing(8, 8, names, "a", "foreign"),
	}
	for id := int64(9); id < 60; id++ {
		var missing []string
		for _, name := range names {
			if rand.N(2) == 0 {
				missing = append(missing, name)
			}
		}
		want = append(want, listing(id, id, names, missing...))
	}
	put(t, s, want...)
	check(t, oldest(t, s, 100), want...)
	checkSize(t, s, rdb)
}

// A project of a hundred thousand repositories, none of which has a row, takes no
// more than its names.
func TestALargeProjectIsStashedOnce(t *testing.T) {
	s, _ := open(t, stash.Config{})
	var names []string
	for i := range 100_000 {
		names = append(names, fmt.Sprintf("%s/image-%06d", strings.Repeat("deep/", 5), i))
	}
	want := listing(1, 1, names, names...)
	state := put(t, s, want)
	if state.Bytes > 5<<20 {
		t.Errorf("it takes %d bytes", state.Bytes)
	}
	got := oldest(t, s, 10)
	if len(got) != 1 || len(got[0].Names) != len(names) || len(got[0].Missing) != len(names) {
		t.Fatal("it does not come back whole")
	}
}

func TestPlacesThatAreNotAmongTheNamesAreDamage(t *testing.T) {
	for _, places := range []string{"[[0,3]]", "[[-1,1]]", "[[1,1]]", "[[0,1],[0,1]]", "[[1,0]]"} {
		s, rdb := open(t, stash.Config{})
		put(t, s, listing(1, 1, []string{"a", "b"}, "a"))
		value, err := rdb.HGet(t.Context(), "regmend:stash:results", "1:c").Result()
		if err != nil || !strings.Contains(value, `"missing_at":[[0,1]]`) {
			t.Fatalf("%s, %v", value, err)
		}
		value = strings.Replace(value, "[[0,1]]", places, 1)
		if err := rdb.HSet(t.Context(), "regmend:stash:results", "1:c", value).Err(); err != nil {
			t.Fatal(err)
		}
		if _, err := s.Oldest(context.Background(), 10); !errors.Is(err, stash.ErrDamaged) {
			t.Errorf("places %s: Oldest() = %v, want ErrDamaged", places, err)
		}
	}
}
