package main

import (
	"cmp"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"
	"time"

	"golang.org/x/term"
)

// screen is where the demo tells its story: with colour and lines that change
// on a terminal, as plain lines elsewhere.
type screen struct {
	out      io.Writer
	terminal bool
	width    int // in columns, of a terminal
	began    time.Time
}

func newScreen(out io.Writer) *screen {
	s := &screen{out: out, began: time.Now()}
	if file, ok := out.(*os.File); ok {
		width, _, err := term.GetSize(int(file.Fd()))
		s.terminal, s.width = err == nil, width
	}
	return s
}

// style is how a terminal shows text.
type style int

const (
	bold  style = 1
	faint style = 2
	red   style = 31
	green style = 32
)

func (s *screen) paint(how style, text string) string {
	if !s.terminal || os.Getenv("NO_COLOR") != "" {
		return text
	}
	return fmt.Sprintf("\x1b[%dm%s\x1b[0m", how, text)
}

// mark begins a line that says how something went.
func (s *screen) mark(good bool) string {
	if good {
		return s.paint(green, "✓")
	}
	return s.paint(red, "✗")
}

func (s *screen) title(name, subtitle string) {
	fmt.Fprintf(s.out, "\n%s  %s\n\n", s.paint(bold, name), s.paint(faint, subtitle))
}

func (s *screen) text(format string, args ...any) {
	fmt.Fprintf(s.out, "  "+format+"\n", args...)
}

// stage is a step of the story: what will have been done, and how.
type stage struct {
	what string
	do   func() error
}

// stages goes through the stages up to the first that fails, and says of each
// how it went and how long it took.
func (s *screen) stages(stages ...stage) error {
	for _, stage := range stages {
		if s.terminal {
			fmt.Fprintf(s.out, "  %s %s", s.paint(faint, "…"), stage.what)
		}
		start := time.Now()
		err := stage.do()
		if s.terminal {
			fmt.Fprint(s.out, "\r\x1b[K")
		}
		fmt.Fprintf(s.out, "  %s %-62s %s\n", s.mark(err == nil), stage.what, s.paint(faint, seconds(time.Since(start))))
		if err != nil {
			return err
		}
	}
	return nil
}

func seconds(d time.Duration) string { return fmt.Sprintf("%5.1f s", d.Seconds()) }

// compare shows side by side what was lost and what was found, and returns
// the number of differences.
func (s *screen) compare(g *gitLab, lost, found map[int64][]string) int {
	rows := comparison(g, lost, found)
	s.table(rows)
	differences := 0
	for _, r := range rows {
		differences += r.differences()
	}
	s.text("%s %s\n", s.mark(differences == 0), s.paint(bold, fmt.Sprintf("%d lost, %d found, %d differences, in %.0f s",
		count(lost), count(found), differences, time.Since(s.began).Seconds())))
	return differences
}

func (s *screen) table(rows []row) {
	paths, lost := len("project"), len("lost")
	for _, r := range rows {
		paths, lost = max(paths, len(r.fullPath)), max(lost, len(text(r.lost)))
	}
	if s.terminal {
		// What stands beside the paths: both lists of names, marks and gaps.
		paths = min(paths, max(s.width-2*lost-8, 20))
	}
	line := func(mark, fullPath, wasLost, wasFound string) {
		s.text("%s %-*s  %-*s  %s", mark, paths, ending(fullPath, paths), lost, wasLost, wasFound)
	}
	fmt.Fprintln(s.out)
	line(" ", "project", "lost", "found")
	for _, r := range rows {
		line(s.mark(r.differences() == 0), r.fullPath, text(r.lost), text(r.found))
	}
	fmt.Fprintln(s.out)
}

// ending is a path shortened at its beginning, where it tells least.
func ending(path string, width int) string {
	if len(path) <= width {
		return path
	}
	return "…" + path[len(path)-width+1:]
}

// row compares one project.
type row struct {
	fullPath    string
	lost, found []string
}

// comparison has a row for each project of which something was lost or found.
func comparison(g *gitLab, lost, found map[int64][]string) []row {
	fullPaths := map[int64]string{}
	for _, p := range g.projects {
		fullPaths[p.ID] = p.FullPath
	}
	ids := maps.Clone(lost)
	maps.Copy(ids, found)
	var rows []row
	for id := range ids {
		fullPath := cmp.Or(fullPaths[id], fmt.Sprintf("unknown project %d", id))
		rows = append(rows, row{fullPath, lost[id], found[id]})
	}
	slices.SortFunc(rows, func(a, b row) int { return cmp.Compare(a.fullPath, b.fullPath) })
	return rows
}

// differences counts the names that are on one side only.
func (r row) differences() int {
	n := 0
	for _, name := range r.lost {
		if !slices.Contains(r.found, name) {
			n++
		}
	}
	for _, name := range r.found {
		if !slices.Contains(r.lost, name) {
			n++
		}
	}
	return n
}

// text calls the root repository, which has no name, by its sign.
func text(names []string) string {
	if len(names) == 0 {
		return "-"
	}
	shown := slices.Clone(names)
	for i, name := range shown {
		if name == "" {
			shown[i] = "(root)"
		}
	}
	return strings.Join(shown, ", ")
}
