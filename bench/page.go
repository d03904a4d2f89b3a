package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"time"
)

const beginMark, endMark = "<!-- bench: begin -->", "<!-- bench: end -->"

// writePage puts the table and its plots into the page, between the marks.
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
	text, err = between(text, fmt.Sprintf("%s\n\n%s", b.conditions(when), markdown(b.figures)))
	if err != nil {
		return err
	}
	return os.WriteFile(page, text, 0o644)
}

// between puts the new text between the marks of the old one.
func between(old []byte, text string) ([]byte, error) {
	before, rest, ok := bytes.Cut(old, []byte(beginMark))
	_, after, ended := bytes.Cut(rest, []byte(endMark))
	if !ok || !ended {
		return nil, errors.New("the page lacks the marks between which the table goes")
	}
	return fmt.Appendf(nil, "%s%s\n%s\n%s%s", before, beginMark, text, endMark, after), nil
}

// conditions say on what it was measured.
func (b *bench) conditions(when time.Time) string {
	return fmt.Sprintf("Measured on %s in %d rounds, on a machine of %d cores that others used too: %s, Postgres %s, Redis %s.",
		when.Format(time.DateOnly), b.size.rounds, runtime.NumCPU(), runtime.Version(), b.versions.postgres, b.versions.redis)
}
