package main

import (
	"context"
	"fmt"
	"os"
	"time"
)

func main() {
	if len(os.Args) == 3 && os.Args[1] == stubVerb {
		fmt.Fprintln(os.Stderr, serveStub(os.Args[2]))
		os.Exit(1)
	}
	ctx := context.Background()
	in, err := newInstallation(ctx, "bin/regmend")
	if err != nil {
		panic(err)
	}
	var n int64
	var ms, slots, rounds, consumers int
	which := ""
	fmt.Sscan(os.Args[1], &n)
	fmt.Sscan(os.Args[2], &ms)
	fmt.Sscan(os.Args[3], &slots)
	fmt.Sscan(os.Args[4], &consumers)
	fmt.Sscan(os.Args[5], &rounds)
	which = os.Args[6]
	defer in.end()
	s := setting{orders: orders{Shape: shape{Projects: n}, Delay: time.Duration(ms) * time.Millisecond}, slots: slots, consumers: consumers}
	if err := in.fill(ctx, s.orders.Shape); err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println("filled")
	s.orders.Record = true
	d := s.orders.Delay
	s.orders.Delay = 0
	o, err := in.scan(ctx, s)
	fmt.Println(err, o)
	if err != nil {
		return
	}
	addresses, err := in.stub.recorded(ctx)
	fmt.Println(err, len(addresses))
	s.orders.Delay, s.orders.Record = d, false
	for range rounds {
		stub0, _ := usageOf(in.stub.PID())
		me0, _ := usageOf(os.Getpid())
		in.stub.begin(ctx, s.orders)
		if err := limit(ctx, in.stub.url, addresses, slots); err != nil {
			fmt.Println(err)
		}
		t, _ := in.stub.figures(ctx)
		l := outcome{Projects: n, Began: t.First, Ended: t.Last, Stub: t}
		stub1, _ := usageOf(in.stub.PID())
		me1, _ := usageOf(os.Getpid())
		fmt.Printf("limit %.0f/s busy %.3f; cpu us/project: stub %.1f limit %.1f\n", l.rate(), l.busy(slots), (stub1.CPU-stub0.CPU).Seconds()*1e6/float64(n), (me1.CPU-me0.CPU).Seconds()*1e6/float64(n))
		o, err := in.scan(ctx, s)
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Printf("regmend %.0f/s = %.3f busy %.3f since %v tail %v stmts %.3f buffers %.1f trips %.3f redis %d MiB\n", o.rate(), o.rate()/l.rate(), o.busy(slots), o.Since, o.Ended.Sub(o.Stub.Last), float64(o.Work.Statements)/float64(n), float64(o.Work.Buffers)/float64(n), float64(o.Work.RoundTrips)/float64(n), o.Work.RedisPeak>>20)
		for name, u := range o.Processes {
			fmt.Printf("   %s cpu %.1f us/project rss %d MiB\n", name, u.CPU.Seconds()*1e6/float64(n), u.PeakMemory>>20)
		}
		if which == "all" {
			g, err := in.shipped(ctx, s)
			if err != nil {
				fmt.Println(err)
				return
			}
			fmt.Printf("shipped %.0f/s; regmend is %.1f times\n", g.rate(), o.rate()/g.rate())
		}
	}
}
