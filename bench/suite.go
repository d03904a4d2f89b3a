package main

import (
	"context"
	"fmt"
	"io"
	"time"
)

// bench is a run of some parts.
type bench struct {
	*installation
	size    size
	out     io.Writer
	part    string // that is being run
	figures []figure
	curves  curves
	walks   sample // buffers a project of walks of the grown installations
}

// size is how much is done.
type size struct {
	rounds    int
	consumers int
	// delayed is for how long a contestant may work at a registry that takes its
	// time, and hasty how many projects there are for one that takes none.
	delayed time.Duration
	hasty   int64
	delays  []time.Duration
	caps    []int         // numbers of slots
	shipped time.Duration // for how long GitLab's design may work
	// swept is how many projects are swept where nothing else is to be compared,
	// and comparable how many where sweeping is compared with scanning, which may
	// take so long.
	swept, comparable int64
	scanned           time.Duration
	flushes           int64 // results written by the flush, and by COPY
	noops             int
	grown             []int64 // sizes of an installation whose costs are compared
	most              int64   // the largest installation; 0: none
	large             int64   // repositories of a large project; 0: none
	versioned         int64   // projects, one in ten of which has versions
}

// quick is what fits in three minutes, full what there is. A sweep is quick itself,
// and so not worth comparing among few projects.
var (
	quick = size{
		rounds: 5, consumers: 1, delayed: 3 * time.Second, hasty: 8_000, delays: []time.Duration{5 * time.Millisecond}, caps: []int{2, 8},
		shipped: time.Second, flushes: 20_000, noops: 5_000, versioned: 20_000,
	}
	full = size{
		rounds: 5, consumers: 1, delayed: 20 * time.Second, hasty: 100_000,
		delays: []time.Duration{5 * time.Millisecond, 20 * time.Millisecond}, caps: []int{2, 8},
		shipped: 10 * time.Second, swept: 1_000_000, comparable: 100_000, scanned: 10 * time.Second, flushes: 100_000, noops: 20_000,
		grown: []int64{10_000, 100_000, 1_000_000}, most: 10_000_000, large: 100_000, versioned: 1_000_000,
	}
)

// part measures some figures.
type part struct {
	name string
	run  func(*bench, context.Context) error
}

var parts = []part{
	{"scan", (*bench).scans},
	{"haste", (*bench).haste},
	{"sweep", (*bench).sweeps},
	{"flush", (*bench).flushes},
	{"queue", (*bench).queue},
	{"growth", (*bench).growth},
	{"large", (*bench).large},
	{"most", (*bench).most},
	{"snapshots", (*bench).snapshots},
}

func (b *bench) tell(format string, args ...any) { fmt.Fprintf(b.out, format+"\n", args...) }

func (b *bench) add(figures ...figure) {
	for _, f := range figures {
		f.part = b.part
		b.figures = append(b.figures, f)
	}
}

// skip says of figures why they are not measured.
func (b *bench) skip(reason string, f ...figure) {
	for _, one := range f {
		one.Skipped = reason
		b.add(one)
	}
}
