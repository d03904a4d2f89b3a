// Package tasks is the wire contract between those who enqueue and those who
// work: task types, payloads, queues and options, and what all of it is called
// on the queues' web pages.
package tasks

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/hibiken/asynq"
)

// Task types.
const (
	TypeScan    = "scan"
	TypeConfirm = "confirm"
	TypeFlush   = "flush"
	TypeSweep   = "sweep"
	// TypeRetain removes old versions of what projects list.
	TypeRetain = "retain"
	TypeRepair = "repair"
)

// Queues.
const (
	// QueueScan holds what the producer enqueues.
	QueueScan = "scan"
	// QueueAdhoc holds what operators enqueue; it goes first.
	QueueAdhoc = "adhoc"
	// QueueConfirm holds the second looks at what a first one believes missing; most
	// of them wait for their time.
	QueueConfirm = "confirm"
	// QueueRescue holds the batches of processes that died, QueueSweep the sweep
	// there is, QueueRetain the removal of old versions, QueueRepair what is put back
	// or removed. They and QueueFlush have Servers of their own: one Server shares
	// its workers over all its queues, so they would wait behind scans that wait
	// for a slot.
	QueueRescue = "rescue"
	QueueFlush  = "flush"
	QueueSweep  = "sweep"
	QueueRetain = "retain"
	QueueRepair = "repair"
)

// Queues are all of them, in the order in which they are shown.
func Queues() []string {
	return []string{QueueRepair, QueueSweep, QueueRescue, QueueAdhoc, QueueConfirm, QueueScan, QueueFlush, QueueRetain}
}

// MaxProjects is how many projects one scan task may name.
const MaxProjects = 1000

const (
	// scanMaxRetry is never to be reached. asynq counts a retry whenever a
	// worker is killed or loses Redis, not only when a handler gives up, and
	// archives the task at the limit. 0 would archive at the first count even
	// where the error is declared to be no failure.
	scanMaxRetry = 1000
	// scanTimeout is longer than any honest wait: a handler waits for its slot
	// inside, through cap 0 and a registry that is down. (Left out it would be
	// asynq's 30 minutes.) It frees the worker of a handler that hangs.
	scanTimeout = 24 * time.Hour
	// flushMaxRetry is small because a flush is asked for anew while results
	// wait: a task that failed is nothing to hold on to.
	flushMaxRetry = 3
	// flushTimeout is many times what a database that is slow but alive needs.
	flushTimeout = 10 * time.Minute
	// retention keeps results on the web pages. A retained ID blocks its own
	// use, which is harmless as no ID is used for two generations.
	retention = time.Hour
	// mostRetained is about how many finished scans are kept where they come so
	// fast that an hour's would fill Redis: at 1.7 KB each.
	mostRetained  = 2000
	leastRetained = 10 * time.Second
)

// Retention is for scans of which so many end a minute.
func Retention(perMinute float64) asynq.Option {
	kept := retention
	if perMinute > 0 {
		kept = min(kept, time.Duration(mostRetained/perMinute*float64(time.Minute)))
	}
	return asynq.Retention(max(kept, leastRetained).Round(time.Second))
}

// Scan asks for a scan of a batch of projects.
type Scan struct {
	// Run is the run that the scan works for.
	Run int64 `json:"run"`
	// IDs are the projects, between 1 and MaxProjects of them.
	IDs []int64 `json:"ids"`
	// After is the scan number that a result must exceed to count as done; 0
	// lets every result of the run count.
	After int64 `json:"after"`
}

// NewScan makes the task that scans s as the batch b. Its ID is the batch, so
// enqueueing it twice is answered by asynq.ErrTaskIDConflict, which means that
// it is enqueued.
func NewScan(queue string, b Batch, s Scan) (*asynq.Task, error) {
	return newScan(TypeScan, queue, b, s)
}

func newScan(taskType, queue string, b Batch, s Scan) (*asynq.Task, error) {
	return newBatch(taskType, queue, b, s)
}

// DecodeScan reads a scan's payload. It takes nothing but what NewScan writes,
// byte for byte: whatever differs was not written by us, or not for us.
func DecodeScan(payload []byte) (Scan, error) {
	return decodeExactly[Scan](payload, "scan", `{"run":1,"ids":[2,3],"after":0}`)
}

func (s Scan) encode() ([]byte, error) {
	if err := s.validate(); err != nil {
		return nil, fmt.Errorf("scan payload: %w", err)
	}
	return json.Marshal(s)
}

func (s Scan) validate() error {
	switch {
	case s.Run < 1:
		return fmt.Errorf("run %d is not positive", s.Run)
	case s.After < 0:
		return fmt.Errorf("after %d is negative", s.After)
	case len(s.IDs) == 0:
		return errors.New("no project IDs")
	case len(s.IDs) > MaxProjects:
		return fmt.Errorf("%d project IDs, at most %d are allowed", len(s.IDs), MaxProjects)
	}
	for _, id := range s.IDs {
		if id < 1 {
			return fmt.Errorf("project ID %d is not positive", id)
		}
	}
	return nil
}

// Flush asks for stashed results to be written.
type Flush struct {
	// Run is the run of the process that asked; results of any are looked at.
	Run int64 `json:"run"`
}

// NewFlush makes a flush task. Each has an ID of its own: a fixed one would
// conflict with the last flush for as long as that is retained, retried or
// archived, and the flush would silently never happen.
func NewFlush(run int64) *asynq.Task {
	payload, err := json.Marshal(Flush{Run: run})
	if err != nil {
		panic(err) // one integer: cannot fail
	}
	return asynq.NewTask(TypeFlush, payload,
		asynq.Queue(QueueFlush),
		asynq.MaxRetry(flushMaxRetry),
		asynq.Timeout(flushTimeout),
		asynq.Retention(retention),
	)
}

// DecodeFlush reads a flush's payload.
func DecodeFlush(payload []byte) (Flush, error) {
	var f Flush
	if err := decode(payload, &f); err != nil {
		return Flush{}, fmt.Errorf("flush payload: %w", err)
	}
	return f, nil
}

// decode reads the one JSON value in data into v, which must have a place for
// all of it.
func decode(data []byte, v any) error {
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(v); err != nil {
		return err
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return errors.New("more than one value")
	}
	return nil
}
