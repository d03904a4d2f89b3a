package main

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
)

var columns = []string{"figure", "median", "spread", "to reach", ""}

// cells are the figure's line.
func (f figure) cells() []string {
	if f.Skipped != "" {
		return []string{f.Name, "", "", f.Goal.String(), string(skipped) + ": " + f.Skipped}
	}
	unit := f.Unit
	if unit != "" {
		unit = " " + unit
	}
	spread := ""
	if len(f.Values) > 1 {
		spread = number3(f.Values.spread())
	}
	return []string{f.Name, number3(f.Values.median()) + unit, spread, f.Goal.String(), string(f.verdict())}
}

// writeTable prints figures for a terminal.
func writeTable(w io.Writer, figures []figure) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, strings.Join(columns, "\t"))
	for _, f := range figures {
		fmt.Fprintln(t, strings.Join(f.cells(), "\t"))
	}
	return t.Flush()
}

// markdown is the same table for the page.
func markdown(figures []figure) string {
	var b strings.Builder
	line := func(cells []string) { fmt.Fprintf(&b, "| %s |\n", strings.Join(cells, " | ")) }
	line(columns)
	line([]string{"---", "---:", "---:", "---:", "---"})
	for _, f := range figures {
		line(f.cells())
	}
	return b.String()
}

// missedOnes are the names of figures that are missed.
func missedOnes(figures []figure) (names []string) {
	for _, f := range figures {
		if f.verdict() == missed {
			names = append(names, f.Name)
		}
	}
	return names
}
