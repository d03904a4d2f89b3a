package tasks

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/hibiken/asynq"
)

// Repair asks for some items of a plan to be applied or undone. What is left of
// them, the database knows.
type Repair struct {
	// Run is the run that was current when it was ordered.
	Run int64 `json:"run"`
	// Plan is the plan's number, and Order that of the order; once there is another
	// order for the plan, this one is void.
	Plan  int64 `json:"plan"`
	Order int64 `json:"order"`
	// Undo: the order is to undo, which asks the registry nothing.
	Undo bool `json:"undo"`
	// From and To are the numbers of the first and the last item.
	From int `json:"from"`
	To   int `json:"to"`
}

// NewRepair makes the task that carries r out as the batch b.
func NewRepair(queue string, b Batch, r Repair) (*asynq.Task, error) {
	return newBatch(TypeRepair, queue, b, r)
}

// DecodeRepair reads a repair's payload. It takes nothing but what NewRepair
// writes, byte for byte.
func DecodeRepair(payload []byte) (Repair, error) {
	return decodeExactly[Repair](payload, "repair", `{"run":1,"plan":2,"order":3,"undo":false,"from":1,"to":100}`)
}

func (r Repair) encode() ([]byte, error) {
	if r.Run < 1 || r.Plan < 1 || r.Order < 1 || r.From < 1 || r.To < r.From {
		return nil, fmt.Errorf("repair payload: run %d, plan %d, order %d, items %d to %d cannot be", r.Run, r.Plan, r.Order, r.From, r.To)
	}
	return json.Marshal(r)
}

// EnqueueRepair enqueues r. That it is enqueued already is success.
func EnqueueRepair(ctx context.Context, rdb redis.UniversalClient, r Repair) (err error) {
	defer illegible(&err)
	b := repairBatch(r)
	task, err := NewRepair(QueueRepair, b, r)
	if err != nil {
		return err
	}
	_, err = enqueue(ctx, NewClient(rdb), b, task)
	return err
}

// Repaired is what a repair task leaves as its result for the web pages, as JSON.
type Repaired struct {
	// Applied, Skipped, Failed, Undone and Kept count the items it decided.
	Applied int `json:"applied"`
	Skipped int `json:"skipped"`
	Failed  int `json:"failed"`
	Undone  int `json:"undone"`
	Kept    int `json:"kept"`
	// Note says why it did nothing, or not all.
	Note string        `json:"note,omitempty"`
	Took time.Duration `json:"took"`
}

func (r Repair) words() string {
	verb := "apply"
	if r.Undo {
		verb = "undo"
	}
	return fmt.Sprintf("%s repair plan %d, items %d to %d, order %d, run %d", verb, r.Plan, r.From, r.To, r.Order, r.Run)
}

func (r Repaired) words() string {
	text := fmt.Sprintf("%d applied, %d skipped, %d failed, %d undone, %d kept, in %s",
		r.Applied, r.Skipped, r.Failed, r.Undone, r.Kept, seconds(r.Took))
	if r.Note != "" {
		text += ": " + r.Note
	}
	return text
}
