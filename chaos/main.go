// Chaos breaks everything around regmend, by the thousand and in an order that
// a seed decides, and tells what became of the work: real processes on private
// Postgres and Redis and a registry's double whose truth is known, each behind a
// proxy that loses what networks lose.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"github.com/redis/go-redis/v9"
)

// options are what the command line says.
type options struct {
	seed     uint64
	projects int
	minutes  float64
	kinds    string
	list     bool
	plan     bool
	keep     bool
	regmend  string
	older    string
}

func main() {
	if len(os.Args) == 2 && os.Args[1] == plainVerb {
		if err := plainWorker(context.Background(), os.Stdout); err != nil {
			fmt.Fprintln(os.Stderr, "chaos:", err)
			os.Exit(1)
		}
		return
	}
	var o options
	flag.Uint64Var(&o.seed, "seed", 1, "the same seed makes the same schedule")
	flag.IntVar(&o.projects, "projects", 20_000, "how many projects")
	flag.Float64Var(&o.minutes, "minutes", 19, "no step of the schedule begins later")
	flag.StringVar(&o.kinds, "kinds", "", "only these kinds or groups of kinds, comma-separated")
	flag.BoolVar(&o.list, "list", false, "list the kinds")
	flag.BoolVar(&o.plan, "plan", false, "print the schedule")
	flag.BoolVar(&o.keep, "keep", false, "leave the folder with everybody's logs behind")
	flag.StringVar(&o.regmend, "regmend", "bin/regmend", "the program to be tried")
	flag.StringVar(&o.older, "other-version", "", "another version of it; default: the same")
	flag.Parse()
	os.Exit(start(o, os.Stdout))
}

func start(o options, out io.Writer) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	defer stop()
	// A second signal ends it at once, and with it all it started.
	context.AfterFunc(ctx, stop)

	redis.SetLogger(quiet{}) // it complains of the outages, which are meant

	err := chaos(ctx, o, out)
	switch {
	case err == nil:
		return 0
	case ctx.Err() != nil:
		fmt.Fprintln(os.Stderr, "chaos: interrupted")
	default:
		fmt.Fprintln(os.Stderr, "chaos:", err)
	}
	return 1
}

type quiet struct{}

func (quiet) Printf(context.Context, string, ...any) {}

// errNotAsPromised ends a run in which something was.
var errNotAsPromised = errors.New("not everything is as promised")

// wantedFaults are more than a thousand: some bad answers find no one who asks.
const wantedFaults = 1050

func chaos(ctx context.Context, o options, out io.Writer) (err error) {
	kinds, err := selectKinds(allKinds(), o.kinds)
	if err != nil {
		return err
	}
	faults := 0
	if o.kinds == "" {
		faults = wantedFaults
	}
	steps := schedule(o.seed, kinds, faults)
	switch {
	case o.list:
		_, err := fmt.Fprint(out, names(allKinds()))
		return err
	case o.plan:
		for _, s := range steps {
			fmt.Fprintln(out, s)
		}
		return nil
	}
	if err := o.findPrograms(); err != nil {
		return err
	}
	in, err := newInstallation(ctx, o, kinds)
	if err != nil {
		return err
	}
	if o.keep {
		fmt.Fprintln(out, "everything is in "+in.dir)
	}
	defer func() { err = errors.Join(err, in.end(o.keep)) }()
	r := &pass{installation: in, seed: o.seed, tell: teller(out)}
	return r.all(ctx, o, kinds, steps, out)
}

// findPrograms makes the paths good for another folder.
func (o *options) findPrograms() (err error) {
	if o.older == "" {
		o.older = o.regmend
	}
	for _, program := range []*string{&o.regmend, &o.older} {
		if *program, err = filepath.Abs(*program); err != nil {
			return err
		}
		if _, err := os.Stat(*program); err != nil {
			return fmt.Errorf("%w: make build makes it", err)
		}
	}
	return nil
}

// teller prints progress, a line each with the time since the start.
func teller(out io.Writer) func(string, ...any) {
	began := time.Now()
	return func(format string, args ...any) {
		fmt.Fprintf(out, "%7.1f  %s\n", time.Since(began).Seconds(), fmt.Sprintf(format, args...))
	}
}

// all is the run from its beginning to the report.
func (r *pass) all(ctx context.Context, o options, kinds []kind, steps []step, out io.Writer) error {
	began := time.Now()
	if err := r.begin(ctx); err != nil {
		return err
	}
	r.tell("%d projects, seed %d, %d steps: regmend works", o.projects, o.seed, len(steps))
	end := began.Add(time.Duration(o.minutes * float64(time.Minute)))
	made, stuck := r.steps(ctx, steps, end)
	if stuck == nil && made == len(steps) {
		steps = append(steps, r.rare(kinds, steps)...)
		var more int
		more, stuck = r.steps(ctx, steps[made:], end)
		made += more
	}
	if wrong := (damage{}); stuck != nil && !errors.As(stuck, &wrong) {
		return stuck
	}
	verdict, err := r.judge(ctx)
	if err != nil {
		return err
	}
	if stuck != nil {
		verdict.others = append(verdict.others, stuck.Error())
	}
	if made < len(steps) {
		fmt.Fprintf(out, "The time was over before %d of %d steps of the schedule.\n", len(steps)-made, len(steps))
	}
	fmt.Fprintln(out)
	if err := errors.Join(writeTable(out, kinds, r.records), verdict.write(out)); err != nil {
		return err
	}
	fmt.Fprintf(out, "\n%d writes of the result table, %d requests, %s in all.\n",
		verdict.writes, r.registry.count(), time.Since(began).Round(time.Second))
	if !verdict.none() {
		return errNotAsPromised
	}
	return nil
}
