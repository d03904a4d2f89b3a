package tasks

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"

	"github.com/google/uuid"
	"github.com/hibiken/asynq"
)

// Batch names a batch through all its generations: its name stays the same,
// and each time it is put back into the queue the generation is raised.
type Batch struct {
	Name       string
	Generation int
}

// LapBatch is the batch of the producer's lap that begins with that project.
// Its name follows from where the walk stands, so that whoever repeats a step of
// the walk enqueues nothing twice.
//
// There is no "-" in it: asynq's web pages show an ID up to the first one.
func LapBatch(run, lap, first int64) Batch {
	return Batch{Name: fmt.Sprintf("run%d.lap%d.%d", run, lap, first)}
}

// ConfirmBatch is the batch of second looks after that scan number, of which that
// project is the first. Who enqueues it again enqueues nothing twice.
func ConfirmBatch(run, after, first int64) Batch {
	return Batch{Name: fmt.Sprintf("run%d.confirm%d.%d", run, after, first)}
}

// AdhocBatch is a new batch of an operator's.
func AdhocBatch(run int64) Batch {
	return Batch{Name: fmt.Sprintf("run%d.adhoc.%s", run, uuid.NewString())}
}

// sweepBatch is the batch of a sweep, one for all generations of its task.
func sweepBatch(s Sweep) Batch {
	return Batch{Name: fmt.Sprintf("run%d.sweep%d", s.Run, s.Sweep)}
}

// repairBatch is the batch of some items of an order.
func repairBatch(r Repair) Batch {
	return Batch{Name: fmt.Sprintf("run%d.repair%d.order%d.%d", r.Run, r.Plan, r.Order, r.From)}
}

// RescanBatch is the batch that scans the projects of some items of an order once
// more, since what was done was in force at scan number after.
func RescanBatch(r Repair, after int64) Batch {
	return Batch{Name: fmt.Sprintf("%s.rescan%d", repairBatch(r).Name, after)}
}

// String is "name.generation", the task's ID. asynq refuses an ID in every
// state its task can be in, so a batch that is enqueued again needs a new one.
func (b Batch) String() string { return b.Name + "." + strconv.Itoa(b.Generation) }

// Next is the batch's next generation.
func (b Batch) Next() Batch { return Batch{Name: b.Name, Generation: b.Generation + 1} }

// ParseBatch reads a task's ID. An ID that String does not write is an error.
func ParseBatch(taskID string) (Batch, error) {
	dot := strings.LastIndexByte(taskID, '.')
	if dot < 1 {
		return Batch{}, fmt.Errorf("task ID %q is not of the form name.generation", taskID)
	}
	generation, err := strconv.Atoi(taskID[dot+1:])
	b := Batch{Name: taskID[:dot], Generation: generation}
	if err != nil || generation < 0 || b.String() != taskID {
		return Batch{}, fmt.Errorf("task ID %q does not end in a generation", taskID)
	}
	return b, nil
}

// content is what the task of a batch says.
type content interface{ encode() ([]byte, error) }

// newBatch makes the task of the batch b, whose ID it has.
func newBatch(taskType, queue string, b Batch, c content) (*asynq.Task, error) {
	if _, err := ParseBatch(b.String()); err != nil {
		return nil, err
	}
	payload, err := c.encode()
	if err != nil {
		return nil, err
	}
	return asynq.NewTask(taskType, payload,
		asynq.Queue(queue),
		asynq.TaskID(b.String()),
		asynq.MaxRetry(scanMaxRetry),
		asynq.Timeout(scanTimeout),
		asynq.Retention(retention),
	), nil
}

// decodeExactly reads a payload that is, byte for byte, what C writes; form is what
// that looks like.
func decodeExactly[C content](payload []byte, subject, form string) (C, error) {
	var c, none C
	if err := decode(payload, &c); err != nil {
		return none, fmt.Errorf("%s payload: %w", subject, err)
	}
	canonical, err := c.encode()
	if err != nil {
		return none, err
	}
	if !bytes.Equal(canonical, payload) {
		return none, fmt.Errorf("%s payload: not of the form %s", subject, form)
	}
	return c, nil
}
