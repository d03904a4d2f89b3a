package main

import (
	"fmt"
	"strconv"
	"strings"
)

// shape is what the projects look like. Everything follows from a project's ID,
// so that the stub needs no table of ten million and SQL makes the same ones.
type shape struct {
	// Projects have the IDs from 1 on.
	Projects int64 `json:"projects"`
	// Large is how many repositories one more project has; 0: there is none.
	Large int64 `json:"large"`
}

const (
	// One in withRepositories projects, and not the last of a batch, has a
	// repository; of one project in lost it has no row in GitLab's table.
	withRepositories, firstTagged = 10, 4
	lost                          = 1000
	// One in doubtful projects has a path whose listing needs a second look.
	doubtful = 21
	// groupSize is about how many projects are in a group. The next in a group
	// has not the next ID, as in a GitLab that has grown.
	groupSize = 100

	repositoryName = "web"
	largePath      = "Large/Monorepo"
)

func (s shape) groups() int64 { return s.Projects/groupSize + 1 }

// fullPath is as GitLab has it; the registry has it in lower case.
func (s shape) fullPath(id int64) string {
	if id > s.Projects {
		return largePath
	}
	last := "web"
	if id%doubtful == 0 {
		last = "v9"
	}
	return fmt.Sprintf("Team-%d-x/app-%d-%s", id%s.groups(), id, last)
}

// missing is how many repositories have no row: of one project in lost the only
// one, and all of the large one.
func (s shape) missing() int64 { return (s.Projects+lost-firstTagged)/lost + s.Large }

func tagged(id int64) bool { return id%withRepositories == firstTagged }

// taggedIn yields the projects of the group that have repositories.
func (s shape) taggedIn(group int64) func(yield func(id int64) bool) {
	return func(yield func(int64) bool) {
		for id := group; id <= s.Projects; id += s.groups() {
			if id > 0 && tagged(id) && !yield(id) {
				return
			}
		}
	}
}

// parse tells whose registry path it is: a project's, or a group's (id 0).
func (s shape) parse(path string) (group, id int64, ok bool) {
	top, rest, below := strings.Cut(path, "/")
	group, ok = number(top, "team-")
	if !ok || !below {
		return group, 0, ok
	}
	id, ok = number(rest, "app-")
	return group, id, ok
}

// number is the one between the prefix and the next dash.
func number(text, prefix string) (int64, bool) {
	text, ok := strings.CutPrefix(text, prefix)
	digits, _, dash := strings.Cut(text, "-")
	n, err := strconv.ParseInt(digits, 10, 64)
	return n, ok && dash && err == nil
}
