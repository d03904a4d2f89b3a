package main

import (
	"context"
	"crypto/rand"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"

	"regmend/shared/gitlab/gitlabtest"

	"golang.org/x/sync/errgroup"
)

// installation is a GitLab with its registry, Postgres and Redis, each behind a
// proxy, and the processes of regmend's that work on them.
type installation struct {
	dir     string
	program string // regmend
	older   string // another version of it
	world   gitlabtest.World

	database *database
	redis    *redisSide
	registry *registrySide
	fleet    *fleet
	plain    *plain
	witness  *witness
	caps     caps
	forces   forces
	moved    moved
	repairs  *repairs     // nil: there are none
	runs     atomic.Int64 // begun so far

	mu      sync.Mutex
	secrets map[string]string // what it is: what must not be seen
	printed []byte            // by commands
}

// settings of the installation's regmend, where they are not the defaults.
var settings = map[string]string{
	"max_concurrency": strconv.Itoa(usualCap),
	"batch_size":      "50",
	"flush_after":     "1s",
	"lap_interval":    "1s",
	"page_size":       "100",
	"brake":           "off", // it would slow what follows every fault
	"confirm_after":   "0s",  // the second look follows at once
	"min_age":         "0s",
}

// secret makes one up.
func (in *installation) secret(what string) string {
	secret := rand.Text()
	in.mu.Lock()
	defer in.mu.Unlock()
	in.secrets[what] = secret
	return secret
}

// folder makes a part of the installation's folder, open to servers that do not
// run as root.
func (in *installation) folder(name string) (string, error) {
	path := filepath.Join(in.dir, name)
	return path, os.Mkdir(path, 0o755)
}

// newInstallation starts everything but regmend.
func newInstallation(ctx context.Context, o options, kinds []kind) (*installation, error) {
	dir, err := os.MkdirTemp("", "regmend-chaos-")
	if err != nil {
		return nil, err
	}
	in := &installation{
		dir: dir, program: o.regmend, older: o.older, secrets: map[string]string{},
		world: gitlabtest.Generate(o.seed, o.projects),
	}
	if slices.ContainsFunc(kinds, func(k kind) bool { return k.group() == repairGroup }) {
		in.repairs = &repairs{}
	}
	if err := errors.Join(os.Chmod(dir, 0o711), in.start(ctx)); err != nil {
		return nil, errors.Join(err, in.end(false))
	}
	return in, nil
}

func (in *installation) start(ctx context.Context) error {
	var starts errgroup.Group
	starts.Go(func() (err error) {
		in.database, err = in.startDatabase(ctx)
		return err
	})
	starts.Go(func() (err error) {
		in.redis, err = in.startRedis(ctx)
		return err
	})
	starts.Go(func() (err error) {
		in.registry, err = in.startRegistry(ctx)
		return err
	})
	return starts.Wait()
}

// end stops everything and removes the folder, unless it is to be kept.
func (in *installation) end(keep bool) error {
	var errs []error
	if in.fleet != nil {
		errs = append(errs, in.fleet.end())
	}
	if in.plain != nil {
		errs = append(errs, in.plain.stop())
	}
	if in.witness != nil {
		in.witness.stop()
	}
	if in.registry != nil {
		errs = append(errs, in.registry.stop())
	}
	if in.redis != nil {
		errs = append(errs, in.redis.stop())
	}
	if in.database != nil {
		errs = append(errs, in.database.stop())
	}
	if !keep {
		errs = append(errs, os.RemoveAll(in.dir))
	}
	return errors.Join(errs...)
}
