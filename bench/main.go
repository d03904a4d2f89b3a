// Bench measures regmend against the limit, which is a bare loop that sends the
// same requests, against the design that GitLab shipped, and against COPY, on
// private servers and a registry's stub in a process of its own.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"time"
)

// options are what the command line says.
type options struct {
	quick   bool
	rounds  int
	most    int64
	only    string
	page    string
	regmend string
}

func main() {
	if len(os.Args) == 3 && os.Args[1] == stubVerb {
		fmt.Fprintln(os.Stderr, "bench:", serveStub(os.Args[2]))
		os.Exit(1)
	}
	var o options
	flag.BoolVar(&o.quick, "quick", false, "only what fits in three minutes")
	flag.IntVar(&o.rounds, "rounds", 5, "how often each contestant works")
	flag.Int64Var(&o.most, "most", full.most, "projects of the largest installation; 0: none")
	flag.StringVar(&o.only, "only", "", "only these parts, comma-separated: "+strings.Join(names(parts), ", "))
	flag.StringVar(&o.page, "page", "", "write the table into this page, between its marks, and the plots beside it")
	flag.StringVar(&o.regmend, "regmend", "bin/regmend", "the program to be measured")
	flag.Parse()
	os.Exit(start(o, os.Stdout))
}

func start(o options, out io.Writer) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	defer stop()
	if err := measure(ctx, o, out); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		return 1
	}
	return 0
}

// measure runs the parts, each of which goes into the page once it has ended,
// prints the table, and returns an error if a figure is missed.
func measure(ctx context.Context, o options, out io.Writer) (err error) {
	chosen, err := choose(o.only)
	if err != nil {
		return err
	}
	in, err := newInstallation(ctx, o.regmend)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, in.end()) }()
	b := &bench{installation: in, size: o.size(), out: out}
	began := time.Now()
	for _, p := range chosen {
		b.part = p.name
		if err := p.run(b, ctx); err != nil {
			return fmt.Errorf("%s: %w", p.name, err)
		}
		if o.page == "" {
			continue
		}
		if err := b.writePage(o.page, began); err != nil {
			return err
		}
	}
	fmt.Fprintln(out)
	if err := writeTable(out, b.figures); err != nil {
		return err
	}
	fmt.Fprintf(out, "\n%s in all.\n", time.Since(began).Round(time.Second))
	if names := missedOnes(b.figures); len(names) > 0 {
		return fmt.Errorf("missed by more than the spread: %s", strings.Join(names, "; "))
	}
	return nil
}

func (o options) size() size {
	s := full
	s.most = o.most
	if o.quick {
		s = quick
	}
	s.rounds = o.rounds
	return s
}

func names(parts []part) (names []string) {
	for _, p := range parts {
		names = append(names, p.name)
	}
	return names
}

// choose picks the parts of these names; all if there are none.
func choose(only string) ([]part, error) {
	if only == "" {
		return parts, nil
	}
	var chosen []part
	for name := range strings.SplitSeq(only, ",") {
		i := slices.Index(names(parts), name)
		if i < 0 {
			return nil, fmt.Errorf("there is no part %q: use %s", name, strings.Join(names(parts), ", "))
		}
		chosen = append(chosen, parts[i])
	}
	return chosen, nil
}
