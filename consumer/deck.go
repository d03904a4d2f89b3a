package consumer

import (
	"context"
	"slices"
	"sync"
)

// deck is where batches are made ready while others have the slots: as many as
// there are slots, so that one that becomes free finds its next batch, and no
// more, so that what was loaded does not wait for long. It is first come, first
// served.
type deck struct {
	size func() int // below 1 counts as 1

	mu      sync.Mutex
	inside  int
	waiting []chan struct{} // closed when it is that one's turn
}

func newDeck(size func() int) *deck { return &deck{size: size} }

// enter waits for a place, or for the end of ctx, whose cause it returns. leave
// must be called once.
func (d *deck) enter(ctx context.Context) (leave func(), err error) {
	turn := d.ask()
	select {
	case <-turn:
		return d.leave, nil
	case <-ctx.Done():
	}
	if !d.withdraw(turn) {
		d.leave() // its turn had come
	}
	return nil, context.Cause(ctx)
}

func (d *deck) ask() chan struct{} {
	d.mu.Lock()
	defer d.mu.Unlock()
	turn := make(chan struct{})
	d.waiting = append(d.waiting, turn)
	d.admit()
	return turn
}

// withdraw tells whether turn was still waiting.
func (d *deck) withdraw(turn chan struct{}) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	i := slices.Index(d.waiting, turn)
	if i < 0 {
		return false
	}
	d.waiting = slices.Delete(d.waiting, i, i+1)
	return true
}

func (d *deck) leave() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.inside--
	d.admit()
}

// admit lets in who waits. It needs d.mu.
func (d *deck) admit() {
	for len(d.waiting) > 0 && d.inside < max(d.size(), 1) {
		d.inside++
		close(d.waiting[0])
		d.waiting = d.waiting[1:]
	}
}
