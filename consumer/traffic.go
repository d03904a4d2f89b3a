package consumer

import (
	"net/http"
	"sync"
	"time"

	"regmend/shared/board"
)

// traffic adds up what the registry answered this process until it is taken.
type traffic struct {
	mu   sync.Mutex
	seen board.Traffic
}

// answer adds an answer. One that did not come (status 0) says nothing: mostly
// its request was given up here.
func (t *traffic) answer(status int, took time.Duration) {
	t.mu.Lock()
	defer t.mu.Unlock()
	switch {
	case status == http.StatusTooManyRequests:
		t.seen.Refused++
	case status >= http.StatusInternalServerError:
		t.seen.Failed++
	case status != 0:
		t.seen.Answers++
		t.seen.Took += took
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
