package consumer_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"regmend/shared/board"
	"regmend/shared/registry/registrytest"
	"regmend/shared/tasks"
)

var distribution = registrytest.Options{Mode: registrytest.Distribution}

// shows makes the catalog show only what is shown, until it shows all again.
func (w *world) shows(shown func(path string) bool) (all func()) {
	return w.registry.Fail(registrytest.Where{Kind: registrytest.Catalog}, registrytest.Hide(func(path string) bool { return !shown(path) }))
}

// heldByCatalog awaits that all hold because the catalog lacks one of these.
func (w *world) heldByCatalog(lacks string) {
	w.t.Helper()
	w.await("the catalog is why all hold", w.holds(board.HoldCatalog))
	reason := w.hold().Reason
	if !strings.Contains(reason, "lacks "+lacks) || !strings.Contains(reason, "credentials") || strings.Contains(reason, "\n") {
		w.t.Errorf("the reason is %q, want a line about %s and what to do", reason, lacks)
	}
}

// Credentials that may see some projects only get a catalog that is as well-formed
// as any.
func TestP10_ScansDoubtACatalogOfSomeProjects(t *testing.T) {
	w := newWorldOf(t, distribution)
	const projects = 60
	w.projects(projects)
	all := w.shows(func(path string) bool { return !strings.HasPrefix(path, app(30)+"/") })
	w.set("flush_after", "1s")
	w.begin()
	w.producer()
	w.consumer()
	w.heldByCatalog(app(30) + "/web")
	if got := w.counts(); got.Completed+got.Failed != 0 || w.stashed() != 0 {
		t.Errorf("%+v, and %d stashed, want nothing to be recorded", got, w.stashed())
	}
	all()
	w.within(recovery, "all projects are completed", w.completed(projects))
	w.checkApps(projects)
}

// The batch's own repositories may all be in the half that is shown.
func TestP10_ScansDoubtACatalogThatLacksOthersRepositories(t *testing.T) {
	w := newWorldOf(t, distribution)
	first := w.projects(400)
	own := w.Project(t, "other/app")
	w.pushed(own, "other/app", "web")
	w.lost("other/app", "lost")
	run := w.begin()
	w.set("flush_after", "1s")
	w.consumer()
	w.heard()
	all := w.shows(func(path string) bool {
		return strings.HasPrefix(path, "other/") || strings.HasPrefix(path, "group/app1")
	})
	w.enqueue("own", tasks.Scan{Run: run.ID, IDs: []int64{own, first}})
	w.heldByCatalog("group/app")
	if got := w.counts(); got.Completed+got.Failed != 0 {
		t.Errorf("%+v, want nothing to be recorded", got)
	}
	all()
	w.within(recovery, "they are completed", w.completed(2))
}

// GitLab's registry is asked for its catalog only where no listing can be believed;
// what is listed otherwise is recorded.
func TestP10_ScansDoubtTheCatalogOfGitLabsRegistry(t *testing.T) {
	w := newWorldOf(t, registrytest.Options{Collation: registrytest.Glibc})
	plain, affected := w.Project(t, "group/app"), w.Project(t, "top9/app9")
	for i := range 5 {
		w.pushed(w.Project(t, fmt.Sprintf("group/other%dx", i)), fmt.Sprintf("group/other%dx", i), "web")
	}
	w.pushed(plain, "group/app", "web")
	w.pushed(affected, "top9/app9", "web")
	w.lost("top9/app9", "lost")
	run := w.begin()
	w.set("flush_after", "1s")
	w.consumer()
	w.heard()
	w.result(w.enqueue("plain", tasks.Scan{Run: run.ID, IDs: []int64{plain}}))
	if n := len(w.registry.Requests(registrytest.Catalog)); n != 0 {
		t.Errorf("the catalog was asked for %d times, and nobody needs it", n)
	}
	all := w.shows(func(path string) bool { return !strings.HasPrefix(path, "top9/") })
	w.enqueue("affected", tasks.Scan{Run: run.ID, IDs: []int64{affected}})
	w.heldByCatalog("top9/app9/web")
	const missing = `SELECT coalesce(sum(missing_count), -1) FROM regmend.data_repair_details WHERE project_id = $1`
	if got := w.Value(t, missing, affected); got != "-1" {
		t.Errorf("a row says that %s are missing", got)
	}
	all()
	w.within(recovery, "it is completed", func() bool { return w.Value(t, missing, affected) == "1" })
}

// Of a row without image, of a project renamed meanwhile and of a row that is gone
// the catalog need not have anything, and each walk asks for few.
func TestScansDoubtACatalogForGoodReasonOnly(t *testing.T) {
	w := newWorldOf(t, distribution)
	const projects = 300
	first := w.projects(projects)
	for i := range int64(100) {
		w.Repository(t, first+i, "stale")
	}
	renamed, dropped := w.Project(t, "other/renamed"), w.Project(t, "other/dropped")
	w.pushed(renamed, "other/renamed", "web")
	w.pushed(dropped, "other/dropped", "web")
	w.shows(func(path string) bool { return !strings.HasPrefix(path, "other/") })
	w.set("witness_share", "10")
	run := w.begin()
	w.set("flush_after", "1s")
	w.consumer()
	w.heard()
	w.registry.Forget()
	w.registry.Hook(func(_ http.ResponseWriter, req *http.Request, _ int) bool {
		if strings.HasSuffix(req.URL.Path, "/_catalog") {
			w.Exec(t, `UPDATE public.routes SET path = 'other/again' WHERE source_type = 'Project' AND source_id = $1`, renamed)
			w.Exec(t, `DELETE FROM public.container_repositories WHERE project_id = $1`, dropped)
		}
		return false
	})
	got := w.result(w.enqueue("batch", tasks.Scan{Run: run.ID, IDs: []int64{first, renamed, dropped}}))
	if got.Completed != 3 {
		t.Errorf("%+v, want 3 completed", got)
	}
	if walks, tags := len(w.registry.Requests(registrytest.Catalog)), len(w.registry.Requests(registrytest.Tags)); tags > 30*walks {
		t.Errorf("%d repositories were asked for their tags in %d walks", tags, walks)
	}
	w.await("the stash is empty", func() bool { return w.stashed() == 0 })
	w.nothingFailed()
}

// A token server may refuse to tell of what these credentials may not see.
func TestP10_ScansDoubtACatalogThatLacksWhatIsRefused(t *testing.T) {
	w := newWorldOf(t, distribution)
	const projects = 30
	first := w.projects(projects)
	run := w.begin()
	w.consumer()
	w.heard()
	all := w.shows(func(path string) bool { return !strings.HasPrefix(path, app(20)+"/") })
	granted := w.registry.Fail(registrytest.Where{Repository: app(20) + "/web"}, registrytest.Status(http.StatusForbidden, "DENIED"))
	w.set("flush_after", "1s")
	id := w.enqueue("batch", tasks.Scan{Run: run.ID, IDs: []int64{first + 19}})
	w.heldByCatalog(app(20) + "/web")
	all()
	granted()
	if got := w.result(id); got.Looked != 1 || got.Failed != 0 {
		t.Errorf("%+v, want a first look at it", got)
	}
}

// The right to the catalog may be taken away while all hold for it.
func TestACatalogThatIsRefusedHoldsNobody(t *testing.T) {
	w := newWorld(t)
	w.projects(30)
	w.registry.Fail(registrytest.Where{Kind: registrytest.Catalog}, registrytest.Status(http.StatusForbidden, "DENIED"))
	w.begin()
	notice := board.Hold{Kind: board.HoldCatalog, Reason: "the catalog is not whole"}
	if err := board.New(w.redis).SetHold(t.Context(), notice, time.Hour); err != nil {
		t.Fatal(err)
	}
	w.set("flush_after", "1s")
	w.producer()
	w.consumer()
	w.within(recovery, "all projects are completed", w.completed(30))
}
