// Demo shows regmend at work, with nothing but what it starts itself: a
// private Postgres with GitLab's tables, a private Redis, a container registry
// with real images. It loses some of GitLab's rows, lets regmend find them,
// and shows side by side what was lost and what was found. Then regmend puts them
// back, and takes that back.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
)

// options are what the command line says.
type options struct {
	exit     bool
	projects int
	seed     uint64
	regmend  string
}

func main() {
	var o options
	flag.BoolVar(&o.exit, "exit", false, "end after the report; exit code 1 if what was found is not what was lost")
	flag.IntVar(&o.projects, "projects", 1000, "how many projects")
	flag.Uint64Var(&o.seed, "seed", 1, "the same seed loses the same rows of the same projects")
	flag.StringVar(&o.regmend, "regmend", "bin/regmend", "the program to show")
	flag.Parse()
	os.Exit(run(o, os.Stdout))
}

func run(o options, out io.Writer) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	defer stop()
	// A second signal ends the demo at once, and with it all it started.
	context.AfterFunc(ctx, stop)

	err := demo(ctx, o, newScreen(out))
	switch {
	case err == nil:
		return 0
	case ctx.Err() != nil:
		fmt.Fprintln(os.Stderr, "demo: interrupted")
	default:
		fmt.Fprintln(os.Stderr, "demo:", err)
	}
	return 1
}

// demo leaves nothing behind, however it ends.
func demo(ctx context.Context, o options, s *screen) (err error) {
	in, err := newInstallation(o.regmend)
	if err != nil {
		return err
	}
	s.title("regmend demo", "everything is private and in "+in.dir)
	defer func() { err = errors.Join(err, s.stages(stage{"everything stopped and removed", in.remove})) }()

	g := newGitLab(o.projects, o.seed)
	if err := setUp(ctx, in, g, s); err != nil {
		return err
	}
	lost := g.chooseLost(o.seed)
	if err := damage(ctx, in, g, lost, s); err != nil {
		return err
	}
	found, err := find(ctx, in, s)
	if err != nil {
		return err
	}
	if differences := s.compare(g, lost, found); differences > 0 {
		err = fmt.Errorf("%d differences between what was lost and what was found", differences)
	} else {
		err = repair(ctx, in, g, lost, s)
	}
	if !o.exit && ctx.Err() == nil {
		if err != nil {
			s.text("%s %v", s.mark(false), err)
		}
		return errors.Join(err, in.lookAround(ctx, s))
	}
	return err
}

// lookAround leaves everything up until ctx ends.
func (in *installation) lookAround(ctx context.Context, s *screen) error {
	env, err := in.envFile()
	if err != nil {
		return err
	}
	s.text("Look around: %s (queues: %squeues/)", in.pagesURL(), in.pagesURL())
	s.text("or in another terminal: . %s; %s status", env, in.program)
	s.text("To put the rows back once more: regmend repair plan --accept-unknown-age")
	s.text("Ctrl-C ends the demo and removes everything it made.")
	<-ctx.Done()
	fmt.Fprintln(s.out)
	return nil
}

// setUp starts everything: regmend too, which does nothing until it is enabled.
func setUp(ctx context.Context, in *installation, g *gitLab, s *screen) error {
	return s.stages(
		stage{"Postgres, Redis and a container registry started", func() error {
			return in.startServers(ctx)
		}},
		stage{fmt.Sprintf("%d projects in %d groups written to GitLab's tables", len(g.projects), len(g.groups)), func() error {
			return insertGitLab(ctx, in.gitlabURL(), g)
		}},
		stage{"regmend migrate", func() error { return in.regmend(ctx, "migrate") }},
		stage{"regmend settings set confirm_after 0s", func() error { return in.regmend(ctx, "settings", "set", "confirm_after", "0s") }},
		stage{"regmend producer, two regmend consumer, regmend web started", func() error {
			return in.startRegmend(ctx)
		}},
	)
}

// damage makes images and loses rows of some of them.
func damage(ctx context.Context, in *installation, g *gitLab, lost map[int64][]string, s *screen) error {
	paths := g.imagePaths()
	return s.stages(
		stage{fmt.Sprintf("images pushed into %d container repositories", len(paths)), func() error {
			return push(ctx, in.registry.Addr, paths)
		}},
		stage{fmt.Sprintf("%d rows of container_repositories lost", count(lost)), func() error {
			return deleteRows(ctx, in.gitlabURL(), lost)
		}},
	)
}

// find lets regmend do its work.
func find(ctx context.Context, in *installation, s *screen) (found map[int64][]string, err error) {
	if err := s.stages(stage{"regmend enable", func() error { return in.regmend(ctx, "enable") }}); err != nil {
		return nil, err
	}
	if err := in.watch(ctx, s); err != nil {
		return nil, err
	}
	err = s.stages(stage{"regmend report", func() error {
		found, err = in.report(ctx)
		return err
	}})
	return found, err
}
