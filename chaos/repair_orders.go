package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"time"

	"regmend/shared/servers"
)

// command is an operator's that waits for what it ordered.
type command struct {
	args  []string
	cmd   *exec.Cmd
	mu    sync.Mutex
	out   bytes.Buffer
	ended chan struct{}
	err   error
}

// Write keeps what it prints.
func (c *command) Write(b []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.out.Write(b)
}

func (c *command) said() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.out.String()
}

// order gives an order for a plan: apply or undo.
func (in *installation) order(ctx context.Context, what string, p plan) (*command, error) {
	args := []string{"repair", what, strconv.FormatInt(p.id, 10), "--reason", "chaos"}
	c := &command{args: args, ended: make(chan struct{})}
	c.cmd = exec.CommandContext(ctx, in.program, args...)
	c.cmd.Dir, c.cmd.Env, c.cmd.Stdout, c.cmd.Stderr = in.dir, in.environ(), c, c
	if err := c.cmd.Start(); err != nil {
		return nil, err
	}
	go func() {
		c.err = c.cmd.Wait()
		in.said("repair", []byte(c.said()))
		close(c.ended)
	}()
	return c, nil
}

// kill ends the command at once.
func (c *command) kill() {
	_ = c.cmd.Process.Kill() // it may have ended
	<-c.ended
}

// commandEnds is how long a command may be there when what it ordered is done.
const commandEnds = 20 * time.Second

// done waits for the end of a command whose order is carried out.
func (c *command) done(ctx context.Context) error {
	select {
	case <-c.ended:
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(commandEnds):
		c.kill()
		return damagef("%s still waits, %s after what was ordered is done: %s", strings.Join(c.args, " "), commandEnds, c.said())
	}
	if code := c.cmd.ProcessState.ExitCode(); code != 0 && code != 1 || strings.Contains(c.said(), "panic") {
		return damagef("%s: exit code %d: %s", strings.Join(c.args, " "), code, c.said())
	}
	return nil
}

const selectProgress = `
SELECT p.state, coalesce(p.stopped, '') AS stopped,
       count(*) FILTER (WHERE i.state = 'open') AS open,
       count(*) FILTER (WHERE i.state = 'applied') AS applied,
       count(*) FILTER (WHERE i.state IN ('applied', 'undone') AND i.rescan_after IS NULL) AS unverified,
       count(*) FILTER (WHERE i.rescan_after IS NOT NULL
           AND EXISTS (SELECT FROM public.projects t WHERE t.id = i.project_id)
           AND NOT EXISTS (SELECT FROM regmend.data_repair_details d WHERE d.project_id = i.project_id
                           AND greatest(d.scan_number, d.failure_scan_number) > i.rescan_after)) AS unscanned
FROM regmend.repair_plans p JOIN regmend.repair_items i ON i.plan_id = p.id
WHERE p.id = $1 GROUP BY p.id`

// progress is how far a plan is.
type progress struct {
	State      string `db:"state"`
	Stopped    string `db:"stopped"`
	Open       int    `db:"open"`
	Applied    int    `db:"applied"`
	Unverified int    `db:"unverified"`
	Unscanned  int    `db:"unscanned"`
}

// over tells whether what was ordered last is done, and scans have seen it.
func (p progress) over() bool {
	rest := p.Open
	if p.State == "undoing" {
		rest = p.Applied
	}
	return rest == 0 && p.Unverified == 0 && p.Unscanned == 0
}

func (in *installation) progress(ctx context.Context, p plan) (now progress, err error) {
	err = in.database.sql.GetContext(ctx, &now, selectProgress, p.id)
	return now, err
}

// goesOn is a fault that is over: the order has to be carried out, and the command
// that waits for it to end.
func (in *installation) goesOn(p plan, c *command) healed {
	return healed{since: time.Now(), back: func(ctx context.Context) (bool, error) {
		now, err := in.progress(ctx, p)
		if err != nil || !now.over() {
			return false, errors.Join(err, fmt.Errorf("plan %d: %+v", p.id, now))
		}
		if err := in.addsUp(ctx); err != nil || c == nil {
			return err == nil, err
		}
		err = c.done(ctx)
		return err == nil, err
	}}
}

// carriedOut waits until an order is.
func (in *installation) carriedOut(ctx context.Context, what string, p plan) error {
	c, err := in.order(ctx, what, p)
	if err != nil {
		return err
	}
	defer c.kill()
	err = servers.Await(ctx, what+" is carried out", 90*time.Second, in.goesOn(p, c).back)
	if err != nil && ctx.Err() == nil {
		return damagef("%v: %s", err, c.said())
	}
	return err
}

const selectStanding = `
SELECT DISTINCT p.id FROM regmend.repair_plans p JOIN regmend.repair_items i ON i.plan_id = p.id
WHERE p.state = 'applying' OR p.state = 'undoing' AND i.state = 'applied' ORDER BY p.id`

// undoAll undoes what was applied and not undone.
func (in *installation) undoAll(ctx context.Context) error {
	var ids []int64
	if err := in.database.sql.SelectContext(ctx, &ids, selectStanding); err != nil {
		return err
	}
	for _, id := range ids {
		if err := in.carriedOut(ctx, "undo", plan{id: id}); err != nil {
			return err
		}
	}
	return nil
}

// addsUp holds regmend's own list of plans to what they planned (P6).
func (in *installation) addsUp(ctx context.Context) error {
	stdout, stderr, code, err := in.regmend(ctx, "repair")
	if err == nil && code != 0 {
		err = fmt.Errorf("repair: exit code %d: %s", code, stderr)
	}
	if err != nil {
		return err
	}
	var planned []struct {
		ID int64 `db:"id"`
		N  int   `db:"n"`
	}
	if err := in.database.sql.SelectContext(ctx, &planned, selectPlanned); err != nil {
		return err
	}
	for _, p := range planned {
		if found, ok := countsOf(stdout, p.ID); ok && found != p.N {
			return damagef("plan %d had %d items when it was made: %s", p.ID, p.N, stdout)
		}
	}
	return nil
}

// What was planned, as the triggers saw it when the plan was made.
const selectPlanned = `
SELECT (item).plan_id AS id, count(*) FILTER (WHERE (item).state <> 'refused') AS n
FROM chaos.items WHERE op = 'INSERT' GROUP BY 1`

// countsOf sums up the states of a plan's items, from REFUSED on the seven columns
// after its five first ones.
func countsOf(table string, id int64) (n int, ok bool) {
	for line := range strings.Lines(table) {
		fields := strings.Fields(line)
		if len(fields) < 13 || fields[0] != strconv.FormatInt(id, 10) {
			continue
		}
		for _, field := range fields[7:13] { // CREATED is two words
			count, err := strconv.Atoi(field)
			if err != nil {
				return 0, true
			}
			n += count
		}
		return n, true
	}
	return 0, false
}
