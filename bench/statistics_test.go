package main

import (
	"bytes"
	"math"
	"strings"
	"testing"
)

func TestMedianAndSpread(t *testing.T) {
	for name, test := range map[string]struct {
		values         sample
		median, spread float64
	}{
		"one round":                    {sample{3}, 3, 0},
		"in any order":                 {sample{5, 1, 4, 2, 3}, 3, 2},
		"an even number":               {sample{1, 2, 3, 4}, 2.5, 1.5},
		"one far off changes little":   {sample{1, 1, 1, 1, 100}, 1, 0},
		"what is interpolated between": {sample{0, 10}, 5, 5},
	} {
		t.Run(name, func(t *testing.T) {
			if median, spread := test.values.median(), test.values.spread(); median != test.median || spread != test.spread {
				t.Errorf("median %v and spread %v, want %v and %v", median, spread, test.median, test.spread)
			}
		})
	}
	if got := (sample{}).median(); !math.IsNaN(got) {
		t.Errorf("the median of nothing is %v", got)
	}
}

func TestQuotientsAreOfTheSameRound(t *testing.T) {
	// The machine was busy in the second round, for both.
	got := sample{97, 48.5}.over(sample{100, 50})
	if got[0] != 0.97 || got[1] != 0.97 {
		t.Errorf("the quotients are %v", got)
	}
}

func TestVerdicts(t *testing.T) {
	for name, test := range map[string]struct {
		figure figure
		want   verdict
	}{
		"at least, reached":      {figure{Values: sample{0.98}, Goal: goal{atLeast, 0.97}}, reached},
		"at least, just reached": {figure{Values: sample{0.97}, Goal: goal{atLeast, 0.97}}, reached},
		"at least, missed":       {figure{Values: sample{0.96, 0.96, 0.96}, Goal: goal{atLeast, 0.97}}, missed},
		"at least, near":         {figure{Values: sample{0.94, 0.96, 0.98}, Goal: goal{atLeast, 0.97}}, near},
		"at most, reached":       {figure{Values: sample{0.05}, Goal: goal{atMost, 0.1}}, reached},
		"at most, missed":        {figure{Values: sample{0.2, 0.21}, Goal: goal{atMost, 0.1}}, missed},
		"at most, near":          {figure{Values: sample{0.08, 0.11, 0.2}, Goal: goal{atMost, 0.1}}, near},
		"no goal":                {figure{Values: sample{7}}, measured},
		"skipped":                {figure{Goal: goal{atMost, 30}, Skipped: "there is none"}, skipped},
		"nothing measured":       {figure{Goal: goal{atMost, 30}}, missed},
	} {
		t.Run(name, func(t *testing.T) {
			if got := test.figure.verdict(); got != test.want {
				t.Errorf("the verdict is %q, want %q", got, test.want)
			}
		})
	}
}

var someFigures = []figure{
	{Name: "regmend / limit", Values: sample{0.9, 0.91, 0.92}, Goal: goal{atLeast, 0.97}},
	{Name: "memory", Values: sample{41.25}, Unit: "MiB", Goal: goal{atMost, 64}},
	{Name: "sweep", Goal: goal{atMost, 30}, Skipped: "there is none"},
}

func TestTable(t *testing.T) {
	var out bytes.Buffer
	if err := writeTable(&out, someFigures); err != nil {
		t.Fatal(err)
	}
	want := `
figure           median    spread  to reach  
regmend / limit  0.91      0.01    ≥ 0.97    missed
memory           41.2 MiB          ≤ 64.0    reached
sweep                              ≤ 30.0    not measured: there is none
`
	if got := "\n" + out.String(); got != want {
		t.Errorf("the table is %s, want %s", got, want)
	}
	if got := strings.Join(missedOnes(someFigures), ","); got != "regmend / limit" {
		t.Errorf("missed: %s", got)
	}
}

func TestThePageKeepsItsProse(t *testing.T) {
	old := "# Performance\n\n" + beginMark("flush") + "\nan old table\n" + endMark + "\n\nWhat was mended.\n" + beginMark("most") + endMark
	got, err := between([]byte(old), "flush", markdown(someFigures[1:2]))
	if err != nil {
		t.Fatal(err)
	}
	want := "# Performance\n\n" + beginMark("flush") + `

| figure | median | spread | to reach |  |
| --- | ---: | ---: | ---: | --- |
| memory | 41.2 MiB |  | ≤ 64.0 | reached |

` + endMark + "\n\nWhat was mended.\n" + beginMark("most") + endMark
	if string(got) != want {
		t.Errorf("the page is\n%s\nwant\n%s", got, want)
	}
	for _, part := range []string{"scan", "mo"} {
		if _, err := between([]byte(old), part, "x"); err == nil {
			t.Errorf("a page without the marks of %q was taken", part)
		}
	}
}
