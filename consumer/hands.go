package consumer

import "sync/atomic"

// hands counts the batches that the process has.
type hands struct {
	held  atomic.Int64
	empty chan struct{} // holds one: the last batch was put down
}

func newHands() *hands { return &hands{empty: make(chan struct{}, 1)} }

// take takes a batch; put must be called once.
func (h *hands) take() (put func()) {
	h.held.Add(1)
	return func() {
		if h.held.Add(-1) > 0 {
			return
		}
		select {
		case h.empty <- struct{}{}:
		default: // it is known already
		}
	}
}

func (h *hands) count() int64 { return h.held.Load() }
