package consumer_test

import "testing"

func TestEveryProjectIsAnalysed(t *testing.T) {
	w := newWorld(t)
	const projects = 500
	w.projects(projects)
	w.begin()
	w.producer()
	w.consumer()
	w.consumer()
	w.await("every project is completed", w.completed(projects))
	w.checkApps(projects)
	if most := w.registry.MaxInFlight(); most > 2 {
		t.Errorf("%d requests in flight, max_concurrency is 2", most)
	}
}
