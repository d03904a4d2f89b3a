package cmd

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"regmend/shared/postgres"
	"regmend/shared/tasks"

	"github.com/hibiken/asynq"
)

// enqueuer fills batches with the projects that are to be scanned, and counts
// the others.
type enqueuer struct {
	db     *postgres.DB
	client *asynq.Client
	run    postgres.Run
	size   int   // of a batch
	force  bool  // scan what is done, too
	after  int64 // a result must be newer to count as done
	// estimate takes the batches in place of the queue; nil: they are enqueued.
	estimate *estimate

	batch      []int64 // being filled
	enqueued   int
	done       int
	ineligible []int64
	unknown    []int64
}

// all enqueues a selection.
func (e *enqueuer) all(ctx context.Context, s selection) error {
	if err := s.each(ctx, e.db, e.run, func(ids []int64) error { return e.add(ctx, ids) }); err != nil {
		return err
	}
	return e.send(ctx, 1)
}

func (e *enqueuer) add(ctx context.Context, ids []int64) error {
	sorted, err := e.db.Sort(ctx, e.run, ids)
	if err != nil {
		return err
	}
	e.batch = append(e.batch, sorted.Known...)
	if e.force {
		e.batch = append(e.batch, sorted.Done...)
	} else {
		e.done += len(sorted.Done)
	}
	e.ineligible = append(e.ineligible, sorted.Ineligible...)
	e.unknown = append(e.unknown, sorted.Unknown...)
	return e.send(ctx, e.size)
}

// send enqueues batches while at least so many projects wait for one.
func (e *enqueuer) send(ctx context.Context, least int) error {
	for len(e.batch) >= least {
		ids := e.batch[:min(e.size, len(e.batch))]
		if err := e.batchOf(ctx, slices.Clone(ids)); err != nil {
			return err
		}
		e.enqueued += len(ids)
		e.batch = e.batch[len(ids):]
	}
	return nil
}

func (e *enqueuer) batchOf(ctx context.Context, ids []int64) error {
	if e.estimate != nil {
		return e.estimate.add(ctx, ids)
	}
	scan := tasks.Scan{Run: e.run.ID, IDs: ids, After: e.after}
	return tasks.Enqueue(ctx, e.client, tasks.QueueAdhoc, tasks.AdhocBatch(e.run.ID), scan)
}

// print says what became of the projects, or would.
func (e *enqueuer) print(out io.Writer) {
	enqueued := "enqueued"
	if e.estimate != nil {
		enqueued = "to be enqueued"
	}
	for _, line := range []struct {
		what   string
		number int
	}{
		{enqueued, e.enqueued},
		{"already analysed", e.done},
		{"not eligible", len(e.ineligible)},
		{"unknown", len(e.unknown)},
	} {
		fmt.Fprintf(out, "%-16s  %d\n", line.what, line.number)
	}
}

// spansALine keeps lines with many IDs readable.
const spansALine = 20

// fault lists the IDs of no project; nil if there are none.
func (e *enqueuer) fault() error {
	var errs []error
	for spans := range slices.Chunk(spansOf(e.unknown), spansALine) {
		errs = append(errs, errors.New("no such project: "+strings.Join(spans, ", ")))
	}
	return errors.Join(errs...)
}

// spansOf writes ascending IDs; three and more in a row as 7-9.
func spansOf(ids []int64) []string {
	var spans []string
	for len(ids) > 0 {
		n := 1
		for n < len(ids) && ids[n] == ids[n-1]+1 {
			n++
		}
		if n < 3 {
			n = 1
			spans = append(spans, strconv.FormatInt(ids[0], 10))
		} else {
			spans = append(spans, fmt.Sprintf("%d-%d", ids[0], ids[n-1]))
		}
		ids = ids[n:]
	}
	return spans
}
