package consumer_test

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"
	"testing"

	"regmend/consumer"
	"regmend/shared/postgres"
	"regmend/shared/registry/registrytest"

	"github.com/google/go-cmp/cmp"
	"github.com/redis/go-redis/v9"
)

// haunted is a world of scanned projects, of whose rows one is a ghost.
func haunted(t *testing.T) *world {
	t.Helper()
	w := newWorld(t)
	one := w.Project(t, "g/One")
	w.pushed(one, "g/one", "")
	w.pushed(one, "g/one", "app")
	w.Repository(t, one, "never-pushed")
	w.Repository(t, one, "deleted")
	w.Exec(t, `UPDATE public.container_repositories SET status = 0 WHERE name = 'deleted'`)
	w.Repository(t, one, "without-tags")
	w.registry.Push("g/one/without-tags")
	two := w.Project(t, "h/two")
	w.pushed(two, "h/two", "")
	w.begin()
	w.producer()
	w.consumer()
	w.await("all is analysed", w.completed(2))
	w.Repository(t, w.Project(t, "g/not-analysed"), "row")
	return w
}

// find returns the paths of the ghosts, and of the projects that were skipped.
func (w *world) find(ctx context.Context, namespace string) (ghosts []string, skipped int, err error) {
	w.t.Helper()
	var cfg consumer.Config
	client := w.client(w.reach.Registry, wired(&cfg))
	budget := cfg.Slots.Budget
	cfg.Slots = w.timing.Slots
	cfg.Slots.Budget = budget
	found := w.run(func(stopped context.Context, db *postgres.DB, watch *postgres.Watch, rdb redis.UniversalClient, name string) error {
		g := consumer.NewGhosts(db, watch, rdb, client, w.log, name, cfg.Slots)
		pool, end := context.WithCancel(stopped)
		ended := make(chan error, 1)
		go func() { ended <- g.Run(pool) }()
		err := g.Find(ctx, namespace, func(h consumer.Haunted) error {
			for _, r := range h.Ghosts {
				ghosts = append(ghosts, r.Path())
			}
			skipped += len(h.Skipped)
			return nil
		})
		end()
		return errors.Join(err, <-ended)
	})
	<-found.ended
	return ghosts, skipped, found.err
}

func TestGhosts(t *testing.T) {
	w := haunted(t)
	tags := func() (n int) {
		for _, r := range w.registry.Requests(registrytest.Tags) {
			if r.Repository == "g/one/never-pushed" {
				n++
			}
		}
		return n
	}
	before, rows := tags(), w.Value(t, `SELECT md5(string_agg(c::text, ',' ORDER BY id)) FROM public.container_repositories c`)
	for _, c := range []struct {
		namespace string
		want      []string
	}{{"", []string{"g/one/never-pushed"}}, {"g/one", []string{"g/one/never-pushed"}}, {"h", nil}} {
		got, skipped, err := w.find(t.Context(), c.namespace)
		if err != nil || skipped > 0 || !slices.Equal(got, c.want) {
			t.Errorf("in %q: %v, %d skipped, %v; want %v", c.namespace, got, skipped, err, c.want)
		}
	}
	if asked := tags() - before; asked != 4 {
		t.Errorf("in two searches it was asked for %d times, want 4", asked)
	}
	if diff := cmp.Diff(rows, w.Value(t, `SELECT md5(string_agg(c::text, ',' ORDER BY id)) FROM public.container_repositories c`)); diff != "" {
		t.Error("rows were touched")
	}
}

func TestGhosts_AreUnknownTwice(t *testing.T) {
	w := haunted(t)
	remove := w.registry.Fail(registrytest.Where{Kind: registrytest.Tags, Repository: "g/one/without-tags", Times: 1},
		registrytest.Status(http.StatusNotFound, "NAME_UNKNOWN"))
	defer remove()
	got, _, err := w.find(t.Context(), "")
	if want := []string{"g/one/never-pushed"}; err != nil || !slices.Equal(got, want) {
		t.Errorf("%v, %v; want %v", got, err, want)
	}
}

// What is listed is there, whatever is said of its tags.
func TestGhosts_AreNotListed(t *testing.T) {
	w := haunted(t)
	remove := w.registry.Fail(registrytest.Where{Kind: registrytest.Tags, Repository: "g/one/app"},
		registrytest.Status(http.StatusNotFound, "NAME_UNKNOWN"))
	defer remove()
	got, _, err := w.find(t.Context(), "")
	if want := []string{"g/one/never-pushed"}; err != nil || !slices.Equal(got, want) {
		t.Errorf("%v, %v; want %v", got, err, want)
	}
}

// A registry that lost everything makes a ghost of every row.
func TestGhosts_NotWhereTheRegistryIsEmpty(t *testing.T) {
	w := haunted(t)
	w.registry.Fail(registrytest.Where{Kind: registrytest.List}, registrytest.Body(`[]`))
	w.registry.Fail(registrytest.Where{Kind: registrytest.Tags}, registrytest.Status(http.StatusNotFound, "NAME_UNKNOWN"))
	got, _, err := w.find(t.Context(), "")
	if err == nil || len(got) > 0 {
		t.Errorf("%v, %v; want an error and nothing else", got, err)
	}
}

func TestGhosts_OfAProjectThatCannotBeListedNothingIsSaid(t *testing.T) {
	w := haunted(t)
	w.registry.Fail(registrytest.Where{Kind: registrytest.List, Repository: "g/one"}, registrytest.Status(http.StatusInternalServerError, "UNKNOWN"))
	got, skipped, err := w.find(t.Context(), "")
	if err != nil || skipped != 1 || len(got) > 0 {
		t.Errorf("%v, %d skipped, %v; want one project to be skipped", got, skipped, err)
	}
}

// A row that GitLab deletes meanwhile is none.
func TestGhosts_StandAfterwards(t *testing.T) {
	w := haunted(t)
	w.registry.Hook(func(_ http.ResponseWriter, req *http.Request, _ int) bool {
		if strings.Contains(req.URL.Path, "never-pushed") {
			w.Exec(t, `DELETE FROM public.container_repositories WHERE name = 'never-pushed'`)
		}
		return false
	})
	defer w.registry.Hook(nil)
	got, _, err := w.find(t.Context(), "")
	if err != nil || len(got) > 0 {
		t.Errorf("%v, %v; want none, for GitLab deleted the row", got, err)
	}
}

func TestGhosts_AreNotLookedForWhileNothingMayBeAsked(t *testing.T) {
	w := haunted(t)
	w.set("scan_enabled", "false")
	requests := len(w.registry.Requests(registrytest.List))
	_, _, err := w.find(t.Context(), "")
	if err == nil || !strings.Contains(err.Error(), "scanning is disabled") {
		t.Errorf("%v, want that scanning is disabled", err)
	}
	if n := len(w.registry.Requests(registrytest.List)); n > requests {
		t.Errorf("%d listings all the same", n-requests)
	}
}
