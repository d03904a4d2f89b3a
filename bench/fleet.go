package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"regmend/shared/servers"

	"golang.org/x/sync/errgroup"
)

// fleet is regmend's processes: a producer and consumers.
type fleet struct {
	in        *installation
	processes map[string]*servers.Process
}

// start starts them and waits until they are there; for a sweep without a
// producer, which would have the projects scanned.
func (f *fleet) start(ctx context.Context, s setting) error {
	f.processes = map[string]*servers.Process{}
	if !s.sweep {
		if err := f.launch(ctx, "producer", "producer"); err != nil {
			return err
		}
	}
	for i := range s.consumers {
		if err := f.launch(ctx, fmt.Sprint("consumer ", i+1), "consumer"); err != nil {
			return err
		}
	}
	return servers.Await(ctx, "regmend's processes are there", 20*time.Second, func(ctx context.Context) (bool, error) {
		n, err := f.in.rdb.ZCard(ctx, "regmend:processes").Result()
		return int(n) == len(f.processes), err
	})
}

func (f *fleet) launch(ctx context.Context, name string, args ...string) error {
	process, err := servers.Start(f.in.command(context.WithoutCancel(ctx), args...), filepath.Join(f.in.dir, name+".log"))
	if err == nil {
		f.processes[name] = process
	}
	return err
}

func (f *fleet) usage() (map[string]usage, error) {
	all := map[string]usage{}
	for name, p := range f.processes {
		u, err := usageOf(p.PID())
		if err != nil {
			return nil, err
		}
		all[name] = u
	}
	return all, nil
}

// tails are the last lines that the processes logged.
func (f *fleet) tails() error {
	var errs []error
	for name, p := range f.processes {
		errs = append(errs, fmt.Errorf("%s: %s", name, p.Tail()))
	}
	return errors.Join(errs...)
}

func (f *fleet) stop() error {
	var stops errgroup.Group
	for _, p := range f.processes {
		stops.Go(p.Stop)
	}
	return stops.Wait()
}
