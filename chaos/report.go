package main

import (
	"fmt"
	"io"
	"slices"
	"strconv"
	"text/tabwriter"
	"time"
)

// line is a row of the table: what became of the faults of a kind.
type line struct {
	kind               string
	injected, survived int
	recoveries         []time.Duration // in quiet windows, sorted
	plain              string
}

// lines sums the records up, a line for each kind.
func lines(kinds []kind, records []*record) []line {
	byKind := map[string][]*record{}
	for _, r := range records {
		byKind[r.kind] = append(byKind[r.kind], r)
	}
	all := make([]line, 0, len(kinds))
	for _, k := range kinds {
		l := line{kind: k.name, plain: "-"}
		for _, r := range byKind[k.name] {
			l.injected++
			if r.survived {
				l.survived++
			}
			if r.recovery > 0 {
				l.recoveries = append(l.recoveries, r.recovery)
				l.plain = plainWord(r.plain, l.plain)
			}
		}
		slices.Sort(l.recoveries)
		all = append(all, l)
	}
	return all
}

// plainWord tells how plain asynq bore the fault.
func plainWord(w *plainWatch, word string) string {
	if w == nil {
		return word
	}
	r, err := w.recovery()
	if err != nil {
		return err.Error()
	}
	word = seconds(r.Took)
	if r.Running == 0 {
		word = "-"
	}
	if r.Lost > 0 {
		word += fmt.Sprintf(", %d lost", r.Lost)
	}
	if r.Open > 0 {
		word += fmt.Sprintf(", %d open", r.Open)
	}
	if r.Again > 0 {
		word += fmt.Sprintf(", %d again", r.Again)
	}
	return word
}

func seconds(d time.Duration) string { return strconv.FormatFloat(d.Seconds(), 'f', 1, 64) + " s" }

// median is the middle one of sorted durations, the lower of two.
func median(sorted []time.Duration) time.Duration { return sorted[(len(sorted)-1)/2] }

func writeTable(out io.Writer, kinds []kind, records []*record) error {
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "kind\tinjected\tsurvived\trecovery\tmaximum\tplain asynq")
	injected, survived := 0, 0
	for _, l := range lines(kinds, records) {
		middle, most := "-", "-"
		if n := len(l.recoveries); n > 0 {
			middle, most = seconds(median(l.recoveries)), seconds(l.recoveries[n-1])
		}
		fmt.Fprintf(table, "%s\t%d\t%d\t%s\t%s\t%s\n", l.kind, l.injected, l.survived, middle, most, l.plain)
		injected, survived = injected+l.injected, survived+l.survived
	}
	fmt.Fprintf(table, "all\t%d\t%d\t\t\t\n", injected, survived)
	return table.Flush()
}

// shown is how many lines of each sort of damage are printed, and widest how
// much of each.
const shown, widest = 10, 1500

func (v *verdict) write(out io.Writer) error {
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	for _, c := range v.counts() {
		fmt.Fprintf(table, "%s\t%d\t\n", c.what, len(c.lines))
	}
	if err := table.Flush(); err != nil {
		return err
	}
	for _, c := range v.counts() {
		for i, text := range c.lines {
			if i == shown {
				fmt.Fprintf(out, "%s: … and %d more\n", c.what, len(c.lines)-shown)
				break
			}
			fmt.Fprintf(out, "%s: %.*s\n", c.what, widest, text)
		}
	}
	return nil
}
