package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"time"

	"regmend/shared/registry/registrytest"
	"regmend/shared/servers"

	"github.com/jmoiron/sqlx"
)

// repairGate is a place within a transaction of a repair at which it can be stopped
// (repair_log.sql).
type repairGate int

const (
	gateInserted  repairGate = 1 // the row is inserted and journalled
	gateRescanned repairGate = 2 // the rescan is enqueued, and is to be noted
	gateRemoved   repairGate = 3 // the row is removed, and that is journalled
	gateUndone    repairGate = 4 // the rescan is enqueued, and is to be noted
)

// atGate begins something and stops it at the gate while do is done.
func (in *installation) atGate(ctx context.Context, g repairGate, begin, do func() error) error {
	return in.atLock(ctx, begin, func(*sqlx.Tx) error { return do() }, `SELECT pg_advisory_xact_lock(7002, $1)`, int(g))
}

// atLock takes a lock, begins what runs into it, and lets go when do has returned.
func (in *installation) atLock(ctx context.Context, begin func() error, do func(*sqlx.Tx) error, lock string, args ...any) error {
	tx, err := in.database.sql.BeginTxx(ctx, nil)
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback() }() // only its lock was wanted
	if _, err := tx.ExecContext(ctx, lock, args...); err != nil {
		return err
	}
	if err := begin(); err != nil {
		return err
	}
	if err := servers.Await(ctx, "a repair runs into a lock", meetLimit, blocking(tx)); err != nil {
		return err
	}
	return do(tx)
}

// lockOneItem keeps a worker from an item of which the registry has told already.
const lockOneItem = `SELECT FROM regmend.repair_items WHERE plan_id = $1 AND number = $2 FOR UPDATE`

// holdingPath answers nothing that is asked about a repository until end is called.
type holdingPath struct {
	path  string
	kinds []registrytest.Kind
	asked chan struct{} // gets one for each request
	free  chan struct{}
}

// holdPath keeps requests about a path waiting until end is called, which may be
// done twice.
func (r *registrySide) holdPath(path string, kinds ...registrytest.Kind) (h *holdingPath, end func()) {
	const many = 100
	h = &holdingPath{path: path, kinds: kinds, asked: make(chan struct{}, many), free: make(chan struct{})}
	r.held.Store(h)
	return h, sync.OnceFunc(func() { r.held.CompareAndSwap(h, nil); close(h.free) })
}

// keep returns when the request may be answered.
func (h *holdingPath) keep(kind registrytest.Kind, path string, req *http.Request) {
	if h == nil || !strings.EqualFold(path, h.path) {
		return
	}
	for _, k := range h.kinds {
		if k != kind {
			continue
		}
		h.asked <- struct{}{}
		select {
		case <-h.free:
		case <-req.Context().Done():
		}
	}
}

// wait returns when the path was asked for.
func (h *holdingPath) wait(ctx context.Context) error {
	select {
	case <-h.asked:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(meetLimit):
		return fmt.Errorf("nobody asks for %s", h.path)
	}
}

// atAsked begins an apply and does something while it waits for the registry to
// tell of an item's tags.
func (in *installation) atAsked(ctx context.Context, item plannedItem, begin, do func() error) error {
	return in.whileAsked(ctx, item, begin, func(func()) error { return do() })
}

// whileAsked does so until do lets the registry answer, or has returned.
func (in *installation) whileAsked(ctx context.Context, item plannedItem, begin func() error, do func(answer func()) error) error {
	h, end := in.registry.holdPath(item.path(), registrytest.Tags)
	defer end()
	if err := begin(); err != nil {
		return err
	}
	if err := h.wait(ctx); err != nil {
		return err
	}
	return do(end)
}

// repairer is the consumer that has the plan in hand.
func (in *installation) repairer(ctx context.Context, p plan) (string, error) {
	claims, err := in.claims(ctx)
	if err != nil {
		return "", err
	}
	names, err := in.processes(ctx)
	if err != nil {
		return "", err
	}
	for batch, c := range claims {
		if !strings.Contains(batch, fmt.Sprintf(".repair%d.", p.id)) || strings.Contains(batch, "rescan") {
			continue
		}
		for _, member := range in.fleet.consumers() {
			if _, process := in.fleet.running(member); c.Process != "" && names[process.PID()] == c.Process {
				return member, nil
			}
		}
	}
	return "", errors.New("nobody has the plan in hand")
}

// killRepairer kills it.
func (in *installation) killRepairer(ctx context.Context, p plan) error {
	name, err := in.repairer(ctx, p)
	if err != nil {
		return err
	}
	return in.fleet.kill(name)
}
