package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"time"
)

// endMark ends what a part's mark begins.
const endMark = "<!-- bench: end -->"

func beginMark(part string) string { return "<!-- bench: " + part + " -->" }

// writePage puts the tables of the parts that were run, and their plots, into the
// page, between the marks of each. The others stay as they were measured before.
func (b *bench) writePage(page string, when time.Time) error {
	text, err := os.ReadFile(page)
	if err != nil {
		return err
	}
	plots := filepath.Join(filepath.Dir(page), "performance")
	if err := os.MkdirAll(plots, 0o755); err != nil {
		return err
	}
	if err := b.curves.draw(plots); err != nil {
		return err
	}
	for _, p := range parts {
		figures := slices.DeleteFunc(slices.Clone(b.figures), func(f figure) bool { return f.part != p.name })
		if len(figures) == 0 {
			continue
		}
		if text, err = between(text, p.name, markdown(figures)+"\n"+b.conditions(when)); err != nil {
			return err
		}
	}
	return os.WriteFile(page, text, 0o644)
}

// between puts the new text between the part's marks in the old one.
func between(old []byte, part, text string) ([]byte, error) {
	mark := beginMark(part)
	before, rest, ok := bytes.Cut(old, []byte(mark))
	_, after, ended := bytes.Cut(rest, []byte(endMark))
	if !ok || !ended {
		return nil, fmt.Errorf("the page lacks the marks %s and %s", mark, endMark)
	}
	return fmt.Appendf(nil, "%s%s\n\n%s\n%s%s", before, mark, text, endMark, after), nil
}

// conditions say on what it was measured, and how busy the machine was: more than
// a contestant's own processes and both servers account for is somebody else's.
func (b *bench) conditions(when time.Time) string {
	return fmt.Sprintf("Measured on %s in %d rounds, on a machine of %d cores, load average %s: %s, Postgres %s, Redis %s.",
		when.Format(time.DateOnly), b.size.rounds, runtime.NumCPU(), load(), runtime.Version(), b.versions.postgres, b.versions.redis)
}

// load is the machine's over the last five minutes.
func load() string {
	text, err := os.ReadFile("/proc/loadavg")
	fields := bytes.Fields(text)
	if err != nil || len(fields) < 2 {
		return "unknown"
	}
	return string(fields[1])
}
