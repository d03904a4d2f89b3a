package registrytest

import (
	"cmp"
	"slices"
	"sort"
	"sync"
)

// index holds repositories in the order of a collation. It is sorted when it is
// read after it was changed, so that filling it is cheap.
type index struct {
	mu     sync.Mutex
	repos  []*repository
	sorted bool
}

func (x *index) add(repo *repository) {
	x.repos = append(x.repos, repo)
	x.sorted = false
}

func (x *index) remove(repo *repository) {
	x.repos = slices.DeleteFunc(slices.Clone(x.repos), func(other *repository) bool { return other == repo })
}

// inOrder gives the repositories in order; nobody may change the slice.
func (x *index) inOrder() []*repository {
	x.mu.Lock()
	defer x.mu.Unlock()
	if !x.sorted {
		x.repos = slices.Clone(x.repos)
		slices.SortFunc(x.repos, func(a, b *repository) int {
			return compare(a.sortKey, a.path, b.sortKey, b.path)
		})
		x.sorted = true
	}
	return x.repos
}

// after gives the repositories behind the given path, which need not be one.
func (x *index) after(c Collation, path string) []*repository {
	repos := x.inOrder()
	key := c.key(path)
	from := sort.Search(len(repos), func(i int) bool {
		return compare(repos[i].sortKey, repos[i].path, key, path) > 0
	})
	return repos[from:]
}

// compare orders as Postgres does: by the collation, and bytewise where that
// sees no difference.
func compare(keyA, pathA, keyB, pathB string) int {
	return cmp.Or(cmp.Compare(keyA, keyB), cmp.Compare(pathA, pathB))
}
