package consumer_test

import (
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"regmend/shared/board"
	"regmend/shared/postgres"
	"regmend/shared/registry/registrytest"
	"regmend/shared/tasks"
)

// loses makes the registry lose everything with the request to which when says
// yes, until it is found again.
func (w *world) loses(when func(req *http.Request) bool) (happened func() bool, found func()) {
	var lost atomic.Bool
	nothing := map[registrytest.Kind]registrytest.Fault{
		registrytest.List:    registrytest.Answer(http.StatusOK, nil, "[]"),
		registrytest.Catalog: registrytest.Answer(http.StatusOK, nil, `{"repositories":[]}`),
		registrytest.Tags:    registrytest.Answer(http.StatusNotFound, nil, `{"errors":[{"code":"NAME_UNKNOWN"}]}`),
	}
	var ends []func()
	for kind, fault := range nothing {
		ends = append(ends, w.registry.Fail(registrytest.Where{Kind: kind}, func(right http.Handler) http.Handler {
			return http.HandlerFunc(func(rw http.ResponseWriter, req *http.Request) {
				if when(req) {
					lost.Store(true)
				}
				if lost.Load() {
					fault(right).ServeHTTP(rw, req)
					return
				}
				right.ServeHTTP(rw, req)
			})
		}))
	}
	return lost.Load, func() {
		for _, end := range ends {
			end()
		}
	}
}

// A group's listing serves several projects, and says nothing of what the
// registry answers later.
func TestP10_WhatWasHeardBeforeProvesNothing(t *testing.T) {
	w := newWorld(t)
	const plain = "group/deep/plain"
	ids := []int64{w.Project(t, "group/deep/a9"), w.Project(t, plain), w.Project(t, "group/deep/b9")}
	w.pushed(ids[0], "group/deep/a9", "web")
	w.lost(plain, "web")
	w.pushed(ids[2], "group/deep/b9", "web")
	run := w.begin()
	w.set("flush_after", "1s")
	w.consumer()
	w.heard()
	happened, found := w.loses(func(req *http.Request) bool { return strings.Contains(req.URL.Path, plain+"/") })
	w.enqueue("batch", tasks.Scan{Run: run.ID, IDs: ids})
	w.await("the registry is why all hold", w.holds(board.HoldRegistry))
	if !happened() {
		t.Fatal("the project was not listed")
	}
	const completed = `SELECT count(*) FROM regmend.data_repair_details WHERE project_id = $1`
	if got := w.Value(t, completed, ids[1]); got != "0" {
		t.Error("a project has a result that the registry did not show to be right")
	}
	found()
	w.within(recovery, "it is scanned", func() bool { return w.Value(t, completed, ids[1]) == "1" })
	if got := w.Value(t, `SELECT missing_count FROM regmend.data_repair_details WHERE project_id = $1`, ids[1]); got != "1" {
		t.Errorf("%s are missing, want 1", got)
	}
}

// A registry that lost everything after the walk knows no tags.
func TestP10_NoTagsProveNothingByThemselves(t *testing.T) {
	w := newWorldOf(t, smallPages)
	const projects = 300
	w.projects(projects)
	run := w.begin()
	w.consumer()
	w.heard()
	happened, found := w.loses(func(req *http.Request) bool { return strings.Contains(req.URL.Path, "/lost/") })
	w.sweep(run)
	w.await("the registry is why all hold", w.holds(board.HoldRegistry))
	if !happened() {
		t.Fatal("no candidate was asked for its tags")
	}
	if got := w.counts().Completed; got != 0 {
		t.Errorf("%d projects are completed", got)
	}
	found()
	w.within(recovery, "the sweep has ended", func() bool { return w.now().Ended() })
	w.swept(postgres.SweepDone)
	w.checkApps(projects)
}

// A registry without GitLab's API says what has tags only when it is asked, and one
// that has just lost everything says of each repository that it has none.
func TestP10_NoTagsAreBelievedOnlyOfARegistryThatListsSomething(t *testing.T) {
	w := newWorldOf(t, distribution)
	first := w.projects(30)
	run := w.begin()
	w.consumer()
	w.heard()
	w.set("flush_after", "1s")
	_, found := w.loses(func(req *http.Request) bool { return strings.Contains(req.URL.Path, app(20)+"/lost") })
	id := w.enqueue("batch", tasks.Scan{Run: run.ID, IDs: []int64{first + 19}})
	w.await("everything holds", w.holds(board.HoldRegistry))
	if w.stashed() != 0 || w.counts().Completed != 0 {
		t.Error("that it misses nothing was believed")
	}
	found()
	if got := w.result(id); got.Looked != 1 {
		t.Errorf("%+v, want a first look", got)
	}
}
