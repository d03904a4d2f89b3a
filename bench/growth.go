package main

import (
	"context"
	"fmt"
	"slices"
	"time"

	"regmend/shared/postgres"
)

// growth measures what a project costs Postgres in installations of different
// sizes, and what memory the processes take in the largest.
func (b *bench) growth(ctx context.Context) error {
	var scanned, walked sample
	for _, projects := range b.size.grown {
		b.tell("%d projects: buffers and memory", projects)
		s := b.setting(projects, 0, 8)
		if err := b.fill(ctx, s.orders.Shape); err != nil {
			return err
		}
		o, err := b.scan(ctx, s)
		if err != nil {
			return err
		}
		walk, err := b.walk(ctx)
		if err != nil {
			return err
		}
		scanned = append(scanned, float64(o.Work.Buffers)/float64(o.Projects))
		walked = append(walked, walk)
		name := fmt.Sprintf("Postgres buffers a project at %d", projects)
		b.add(
			figure{Name: name, Values: sample{scanned[len(scanned)-1]}},
			figure{Name: fmt.Sprintf("buffers a project of the producer's walk at %d", projects), Values: sample{walk}},
		)
		b.curves.walks = append(b.curves.walks, point{float64(projects), walk})
		b.curves.buffers = append(b.curves.buffers, point{float64(projects), scanned[len(scanned)-1]})
		if projects == slices.Max(b.size.grown) {
			b.addMemory(fmt.Sprintf("%d projects", projects), o)
		}
	}
	if len(scanned) > 0 {
		b.add(
			figure{Name: "Postgres buffers a project, the most / the fewest", Values: sample{slices.Max(scanned) / slices.Min(scanned)}, Goal: goal{atMost, 1.1}},
		)
		b.walks = append(b.walks, walked...)
	}
	return nil
}

// addMemory adds the peaks of an outcome's processes.
func (b *bench) addMemory(at string, o outcome) {
	for _, name := range []string{"producer", "consumer 1"} {
		if _, ran := o.Processes[name]; !ran {
			continue
		}
		b.add(figure{
			Name: "peak memory, " + name + ", " + at, Unit: "MiB",
			Values: sample{mebibytes(o.Processes[name].PeakMemory)}, Goal: goal{atMost, 64},
		})
	}
	b.add(figure{
		Name: "peak memory, Redis, " + at, Unit: "MiB",
		Values: sample{mebibytes(o.Work.RedisPeak)}, Goal: goal{atMost, 32},
	})
}

func mebibytes(bytes int64) float64 { return float64(bytes) / (1 << 20) }

// The producer's window.
const walkWindow = 10_000

// walk walks the whole table as the producer does, and returns the buffers that
// a project costs.
func (in *installation) walk(ctx context.Context) (float64, error) {
	db, err := postgres.Open(in.postgres.Database(in.database))
	if err != nil {
		return 0, err
	}
	defer db.Close()
	state, err := db.State(ctx)
	if err != nil {
		return 0, err
	}
	before, err := in.count(ctx)
	if err != nil {
		return 0, err
	}
	for at, ended := int64(0), false; !ended; {
		found, err := db.Walk(ctx, state.Run, state.Settings.ConfirmAfter, nil, at, walkWindow, walkWindow)
		if err != nil {
			return 0, err
		}
		at, ended = found.Next, found.End
	}
	did, err := in.since(ctx, before)
	return float64(did.Buffers) / float64(in.all()), err
}

// large measures the memory of a consumer that scans a project of very many
// repositories, none of which has a row.
func (b *bench) large(ctx context.Context) error {
	if b.size.large == 0 {
		return nil
	}
	b.tell("a project of %d repositories", b.size.large)
	s := b.setting(1000, 0, 2)
	s.orders.Shape.Large = b.size.large
	if err := b.fill(ctx, s.orders.Shape); err != nil {
		return err
	}
	o, err := b.scan(ctx, s)
	if err != nil {
		return err
	}
	b.addMemory(fmt.Sprintf("a project of %d repositories", b.size.large), o)
	return nil
}

// took is how long something takes, in seconds.
func took(do func() error) (float64, error) {
	began := time.Now()
	err := do()
	return time.Since(began).Seconds(), err
}
