package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"regmend/shared/servers"
)

// What regmend leaves in Redis about who does what (docs/redis.md).
const (
	claimsKey = "regmend:claims"
	infoKey   = "regmend:processes:info"
	heldSlots = "regmend:slots:held"
	leaderKey = "regmend:lock:producer"
)

// hands are batches with the processes that had them at a time.
type hands map[string]string

// claim is what Redis has of a batch.
type claim struct {
	Process string `json:"process"` // "": it waits in its queue
	Payload []byte `json:"payload"`
}

func (in *installation) claims(ctx context.Context) (map[string]claim, error) {
	texts, err := in.redis.client().HGetAll(ctx, claimsKey).Result()
	if err != nil {
		return nil, err
	}
	all := make(map[string]claim, len(texts))
	for batch, text := range texts {
		var c claim
		if err := json.Unmarshal([]byte(text), &c); err != nil {
			return nil, fmt.Errorf("claim of %s: %w", batch, err)
		}
		all[batch] = c
	}
	return all, nil
}

// processes are the names that regmend's processes have for themselves, by PID.
func (in *installation) processes(ctx context.Context) (map[int]string, error) {
	texts, err := in.redis.client().HGetAll(ctx, infoKey).Result()
	if err != nil {
		return nil, err
	}
	names := map[int]string{}
	for name, text := range texts {
		var info struct {
			PID int `json:"pid"`
		}
		if err := json.Unmarshal([]byte(text), &info); err != nil {
			return nil, fmt.Errorf("process %s: %w", name, err)
		}
		names[info.PID] = name
	}
	return names, nil
}

// handsOf are the batches that members have in hand now; none while Redis does
// not tell.
func (in *installation) handsOf(ctx context.Context, members ...string) hands {
	names, err := in.processes(ctx)
	if err != nil {
		return nil // Redis is away: another fault's doing
	}
	claims, err := in.claims(ctx)
	if err != nil {
		return nil
	}
	had := hands{}
	for _, member := range members {
		_, p := in.fleet.running(member)
		for batch, c := range claims {
			if c.Process != "" && c.Process == names[p.PID()] {
				had[batch] = c.Process
			}
		}
	}
	return had
}

// taken tells whether none of the batches is with the process that had it: each
// is in living hands, or has ended.
func (in *installation) taken(ctx context.Context, had hands) (bool, error) {
	claims, err := in.claims(ctx)
	if err != nil {
		return false, err
	}
	for batch, process := range had {
		if c, ok := claims[batch]; ok && (c.Process == process || c.Process == "") {
			return false, fmt.Errorf("batch %s is not worked on again: its claim says %q, it was with %s", batch, c.Process, process)
		}
	}
	return true, nil
}

// scans tells whether the process of that name holds a slot.
func (in *installation) scans(ctx context.Context, process string) (bool, error) {
	slots, err := in.redis.client().ZRange(ctx, heldSlots, 0, -1).Result()
	return slices.ContainsFunc(slots, func(slot string) bool { return strings.HasPrefix(slot, process+"/") }), err
}

// consumerThat waits for a consumer of which that is so. While Redis does not
// tell, it is any.
func (in *installation) consumerThat(ctx context.Context, dice *rand.Rand, so func(context.Context, string) (bool, error)) (string, error) {
	consumers := in.fleet.consumers()
	dice.Shuffle(len(consumers), func(i, j int) { consumers[i], consumers[j] = consumers[j], consumers[i] })
	chosen := consumers[0]
	err := servers.Await(ctx, "a consumer is as wanted", 10*time.Second, func(ctx context.Context) (bool, error) {
		names, err := in.processes(ctx)
		if err != nil {
			return false, err
		}
		for _, member := range consumers {
			_, p := in.fleet.running(member)
			if ok, err := so(ctx, names[p.PID()]); err == nil && ok {
				chosen = member
				return true, nil
			}
		}
		return false, errors.New("none is")
	})
	if ctx.Err() != nil {
		return "", err
	}
	return chosen, nil
}

// leader is the producer that leads.
func (in *installation) leader(ctx context.Context) (member string, err error) {
	err = servers.Await(ctx, "a producer leads", time.Minute, func(ctx context.Context) (bool, error) {
		names, err := in.processes(ctx)
		if err != nil {
			return false, err
		}
		leads, err := in.redis.client().Get(ctx, leaderKey).Result()
		if err != nil {
			return false, err
		}
		for _, name := range []string{"producer1", "producer2"} {
			if _, p := in.fleet.running(name); names[p.PID()] == leads {
				member = name
			}
		}
		return member != "", nil
	})
	return member, err
}

// killScannerOf kills the consumers that have the project in hand.
func (f *fleet) killScannerOf(projectID int64) error {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	claims, err := f.in.claims(ctx)
	if err != nil {
		return err
	}
	names, err := f.in.processes(ctx)
	if err != nil {
		return err
	}
	var errs []error
	for _, c := range claims {
		var scan struct {
			IDs []int64 `json:"ids"`
		}
		if err := json.Unmarshal(c.Payload, &scan); err != nil || !slices.Contains(scan.IDs, projectID) {
			continue
		}
		for _, member := range f.consumers() {
			if _, p := f.running(member); c.Process != "" && names[p.PID()] == c.Process {
				errs = append(errs, f.kill(member))
			}
		}
	}
	return errors.Join(errs...)
}
