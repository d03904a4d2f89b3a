// Demo shows regmend at work, with nothing but what it starts itself: a
// private Postgres with GitLab's tables, a private Redis, a container registry
// with real images. It loses some of GitLab's rows, lets regmend find them,
// and shows side by side what was lost and what was found.
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
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
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
	defer func() { err = errors.Join(err, in.remove()) }()
	s.title("regmend demo", "everything is private and in "+in.dir)

	g := newGitLab(o.projects, o.seed)
	if err := g.setUp(ctx, in, s); err != nil {
		return err
	}
	lost := g.chooseLost(o.seed)
	if err := s.stage(fmt.Sprintf("%d rows of container_repositories lost", count(lost)), func() error {
		return deleteRows(ctx, in.gitlabURL(), lost)
	}); err != nil {
		return err
	}
	found, err := find(ctx, in, s)
	if err != nil {
		return err
	}
	differences := s.compare(g, lost, found)
	if !o.exit {
		s.text("Look around: %s (queues: %squeues/)", in.pagesURL(), in.pagesURL())
		s.text("Ctrl-C ends the demo and removes everything it made.")
		<-ctx.Done()
	}
	if differences > 0 {
		return fmt.Errorf("%d differences between what was lost and what was found", differences)
	}
	return nil
}

// setUp starts the servers and fills them.
func (g *gitLab) setUp(ctx context.Context, in *installation, s *screen) error {
	if err := s.stage("Postgres, Redis and a container registry started", func() error {
		return in.startServers(ctx)
	}); err != nil {
		return err
	}
	if err := s.stage(fmt.Sprintf("%d projects in %d groups written to GitLab's tables", len(g.projects), len(g.groups)), func() error {
		return insertGitLab(ctx, in.gitlabURL(), g)
	}); err != nil {
		return err
	}
	paths := g.imagePaths()
	return s.stage(fmt.Sprintf("images pushed into %d container repositories", len(paths)), func() error {
		return push(ctx, in.registry.Addr, paths)
	})
}

// find lets regmend do its work, as an operator would.
func find(ctx context.Context, in *installation, s *screen) (found map[int64][]string, err error) {
	if err := s.stage("regmend migrate", func() error { return in.regmend(ctx, "migrate") }); err != nil {
		return nil, err
	}
	if err := s.stage("regmend producer, two regmend consumer and regmend web started", func() error {
		return in.startRegmend(ctx)
	}); err != nil {
		return nil, err
	}
	if err := s.stage("regmend enable", func() error { return in.regmend(ctx, "enable") }); err != nil {
		return nil, err
	}
	if err := s.watch("regmend status --watch", func() error { return in.watch(ctx, s) }); err != nil {
		return nil, err
	}
	return in.report(ctx)
}
