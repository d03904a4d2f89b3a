package consumer

import (
	"net/http"
	"sync"

	"regmend/shared/board"
	"regmend/shared/registry"
)

// traffic adds up what the registry answered this process until it is taken.
type traffic struct {
	mu   sync.Mutex
	seen board.Traffic
}

// answer adds an answer. One that did not come (status 0) says nothing: mostly
// its request was given up here.
func (t *traffic) answer(a registry.Answered) {
	t.mu.Lock()
	defer t.mu.Unlock()
	switch {
	case a.Status == http.StatusTooManyRequests:
		t.seen.Refused++
	case a.Status >= http.StatusInternalServerError:
		t.seen.Failed++
	case a.Status == 0:
	case a.Large:
		t.seen.Large.Add(board.Answers{Number: 1, Took: a.Took})
	default:
		t.seen.Small.Add(board.Answers{Number: 1, Took: a.Took})
	}
}

// take returns what was added since the last time.
func (t *traffic) take() board.Traffic {
	t.mu.Lock()
	defer t.mu.Unlock()
	seen := t.seen
	t.seen = board.Traffic{}
	return seen
}
