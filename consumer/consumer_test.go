package consumer_test

import (
	"fmt"
	"testing"
	"time"
)

func TestEveryProjectIsAnalysed(t *testing.T) {
	w := newWorld(t)
	const projects = 500
	missing := int64(0)
	for i := range projects {
		path := fmt.Sprintf("Group/app%d", i)
		id := w.Project(t, path)
		if i%10 == 0 {
			w.pushed(id, fmt.Sprintf("group/app%d", i), "")
			w.pushed(id, fmt.Sprintf("group/app%d", i), "web")
		}
		if i%20 == 0 {
			w.lost(fmt.Sprintf("group/app%d", i), "lost/deep/one")
			missing++
		}
	}
	w.begin()
	w.producer()
	w.consumer()
	w.consumer()
	w.await("every project is completed", time.Minute, func() bool { return w.counts().Completed == projects })
	if got := w.counts(); got.MissingTotal != missing || got.ProjectsWithMissing != missing {
		t.Errorf("missing %d in %d projects, want %d", got.MissingTotal, got.ProjectsWithMissing, missing)
	}
	if most := w.registry.MaxInFlight(); most > 2 {
		t.Errorf("%d requests in flight, max_concurrency is 2", most)
	}
}
