package consumer

import (
	"context"
	"slices"
	"sync"
)

// deck is where batches are made ready while others have the slots: as many as
// there are slots, so that one that becomes free finds its next batch, and no
// more, so that what was loaded does not wait for long. It is first come, first
// served, but what operators enqueued and what dead processes left goes before the
// producer's.
type deck struct {
	size func() int // below 1 counts as 1

	mu      sync.Mutex
	inside  int
	waiting []turn
	hurried int // so many of waiting, which are its first
}

// turn is closed when it has come.
type turn chan struct{}

func newDeck(size func() int) *deck { return &deck{size: size} }

// enter waits for a place, or for the end of ctx, whose cause it returns. leave
// must be called once.
func (d *deck) enter(ctx context.Context, hurries bool) (leave func(), err error) {
	mine := d.ask(hurries)
	select {
	case <-mine:
		return d.leave, nil
	case <-ctx.Done():
	}
	if !d.withdraw(mine) {
		d.leave() // its turn had come
	}
	return nil, context.Cause(ctx)
}

func (d *deck) ask(hurries bool) turn {
	d.mu.Lock()
	defer d.mu.Unlock()
	mine, place := make(turn), len(d.waiting)
	if hurries {
		place = d.hurried
		d.hurried++
	}
	d.waiting = slices.Insert(d.waiting, place, mine)
	d.admit()
	return mine
}

// withdraw tells whether the turn was still waited for.
func (d *deck) withdraw(mine turn) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	i := slices.Index(d.waiting, mine)
	if i >= 0 {
		d.remove(i)
	}
	return i >= 0
}

// remove needs d.mu.
func (d *deck) remove(i int) {
	d.waiting = slices.Delete(d.waiting, i, i+1)
	if i < d.hurried {
		d.hurried--
	}
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
		d.remove(0)
	}
}
