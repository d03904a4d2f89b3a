package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"regmend/shared/gitlab/gitlabtest"
	"regmend/shared/registry/registrytest"
	"regmend/shared/servers"
)

// forced are projects that an operator wanted scanned again: each scan number
// above least and, of what is done, everything up to most.
type forced struct {
	ids         map[int64]bool
	epoch       int
	least, most int64
}

// forces remembers them.
type forces struct {
	mu  sync.Mutex
	all []forced
}

// force lets regmend enqueue --force the projects. It may take effect even if
// it is an error.
func (in *installation) force(ctx context.Context, ids ...int64) error {
	f := forced{ids: make(map[int64]bool, len(ids))}
	words := make([]string, len(ids))
	for i, id := range ids {
		f.ids[id], words[i] = true, strconv.FormatInt(id, 10)
	}
	var err error
	if f.least, f.epoch, err = in.witness.lastNumber(ctx); err != nil {
		return err
	}
	file, err := os.CreateTemp(in.dir, "ids-")
	if err != nil {
		return err
	}
	defer os.Remove(file.Name())
	if _, err := file.WriteString(strings.Join(words, "\n")); err != nil {
		return err
	}
	_, stderr, code, err := in.regmend(ctx, "enqueue", "--force", "--file", file.Name())
	if err == nil && code != 0 {
		err = fmt.Errorf("enqueue: exit code %d: %s", code, stderr)
	}
	return in.noteForce(ctx, f, err)
}

const selectFailed = `SELECT project_id FROM regmend.data_repair_details WHERE status = 'failed'`

// forceFailed lets regmend enqueue --failed, which scans them again whatever
// comes of the scans that are under way.
func (in *installation) forceFailed(ctx context.Context) error {
	f := forced{ids: map[int64]bool{}}
	var ids []int64
	if err := in.database.sql.SelectContext(ctx, &ids, selectFailed); err != nil {
		return err
	}
	for _, id := range ids {
		f.ids[id] = true
	}
	var err error
	if f.least, f.epoch, err = in.witness.lastNumber(ctx); err != nil {
		return err
	}
	_, _, _, err = in.regmend(ctx, "enqueue", "--failed")
	return in.noteForce(ctx, f, err)
}

// noteForce notes what may have been enqueued, with the numbers that may be
// given out by then.
func (in *installation) noteForce(ctx context.Context, f forced, err error) error {
	f.most = f.least + 1_000_000 // where it cannot be asked
	if last, epoch, asked := in.witness.lastNumber(ctx); asked == nil && epoch == f.epoch {
		f.most = last
	}
	in.forces.mu.Lock()
	defer in.forces.mu.Unlock()
	in.forces.all = append(in.forces.all, f)
	return err
}

// forceSome forces a batch of projects that the dice choose.
func (in *installation) forceSome(ctx context.Context, dice *rand.Rand, n int) error {
	ids := make([]int64, n)
	for i := range ids {
		ids[i] = in.world.Projects[dice.IntN(len(in.world.Projects))].ID
	}
	return in.force(ctx, ids...)
}

const selectRegistry = `SELECT registry FROM regmend.runs ORDER BY id DESC LIMIT 1`

// newRun begins a run, whatever is in the way for the moment. A registry whose
// metadata database is off just then makes it one about another registry, which
// an operator sees and begins again.
func (in *installation) newRun(ctx context.Context, reason string) error {
	if err := in.nextStrategy(ctx); err != nil {
		return err
	}
	return in.beginRun(ctx, reason)
}

func (in *installation) beginRun(ctx context.Context, reason string) error {
	return servers.Await(ctx, "a run about the registry begins", 3*time.Minute, func(ctx context.Context) (bool, error) {
		if err := in.persist(ctx, "run", "new", "--reason", reason); err != nil {
			return false, err
		}
		var registry string
		err := in.database.sql.GetContext(ctx, &registry, selectRegistry)
		if err == nil && strings.HasSuffix(registry, "(gitlab)") {
			return true, nil
		}
		return false, errors.Join(err, during(ctx, 2*time.Second), fmt.Errorf("the run is about %s", registry))
	})
}

// setCap changes max_concurrency.
func (in *installation) setCap(ctx context.Context, limit int) error {
	asked := time.Now()
	err := in.persist(ctx, "settings", "set", "max_concurrency", strconv.Itoa(limit))
	in.caps.changed(asked, time.Now(), limit)
	return err
}

// usualCap is max_concurrency but for the faults that change it.
const usualCap = 4

// status is what regmend status --json says, as far as it is used here.
type status struct {
	Run       int64   `json:"run"`
	Eligible  int64   `json:"eligible"`
	Completed int64   `json:"completed"`
	Failed    int64   `json:"failed"`
	Pending   int64   `json:"pending"`
	Balanced  bool    `json:"balanced"`
	Stashed   *int    `json:"stashed"`
	Holding   *string `json:"holding"`
}

// status asks regmend. An error says that it could not tell just now; damage,
// that what it told does not add up (P6).
func (in *installation) status(ctx context.Context) (s status, err error) {
	stdout, stderr, code, err := in.regmend(ctx, "status", "--json")
	if err != nil {
		return s, err
	}
	if stdout == "" {
		return s, fmt.Errorf("status: exit code %d: %s", code, stderr)
	}
	if err := json.Unmarshal([]byte(stdout), &s); err != nil {
		return s, damagef("status --json: %v: %s", err, stdout)
	}
	if !s.Balanced || s.Eligible != s.Completed+s.Failed+s.Pending {
		return s, damagef("the counts of status do not add up: %s", stdout)
	}
	return s, nil
}

// held waits until regmend holds for a reason that has the words in it.
func (in *installation) held(ctx context.Context, within time.Duration, words string) error {
	var last string
	err := servers.Await(ctx, "regmend holds", within, func(ctx context.Context) (bool, error) {
		s, err := in.status(ctx)
		if s.Holding != nil {
			last = *s.Holding
		}
		return err == nil && strings.Contains(last, words), err
	})
	if err != nil && ctx.Err() == nil {
		return damagef("regmend did not hold for %q within %s, but for %q: %v", words, within, last, err)
	}
	return err
}

// pick chooses an eligible project with repositories, whose own listing is what
// regmend looks at.
func (in *installation) pick(dice *rand.Rand) gitlabtest.Project {
	for {
		p := in.world.Projects[dice.IntN(len(in.world.Projects))]
		if ordinary(p) {
			return p
		}
	}
}

// ordinary tells whether the registry answers rightly for the path in every
// collation, and has something below it.
func ordinary(p gitlabtest.Project) bool {
	last := p.FullPath[len(p.FullPath)-1]
	if p.PendingDelete || p.Routeless || strings.Contains(p.FullPath, "_") || last < '1' || last > '8' {
		return false
	}
	return slices.ContainsFunc(p.Repositories, func(r gitlabtest.Repository) bool { return r.Tagged })
}

// workLimit is how long work is waited for before a fault; stormWorkLimit is for
// a storm, in which something else may keep it away.
const workLimit, stormWorkLimit = time.Minute, 500 * time.Millisecond

// working returns when the registry is asked for listings.
func (in *installation) working(ctx context.Context) error {
	if in.registry.alone.Load() {
		return in.lists(ctx, workLimit)
	}
	if err := in.lists(ctx, stormWorkLimit); ctx.Err() != nil {
		return err
	}
	return nil
}

func (in *installation) lists(ctx context.Context, within time.Duration) error {
	before := in.registry.count()
	return servers.Await(ctx, "the registry is asked for listings", within, func(context.Context) (bool, error) {
		listings := 0
		for _, req := range in.registry.log.since(before) {
			if req.kind == registrytest.List {
				listings++
			}
		}
		return listings > 5, nil
	})
}
