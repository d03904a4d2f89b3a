package cmd

import (
	"context"
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// watchStatus shows the progress until nothing is pending, and takes Ctrl-C for
// an end as good as any. While the database is away it says so and goes on.
func watchStatus(ctx context.Context, p Process, look *looker, interval time.Duration) error {
	show := newDisplay(p.Stdout, interval)
	var pace pace
	for {
		begun := time.Now()
		s, err := look.now(ctx)
		if ctx.Err() != nil {
			show.end()
			return nil
		}
		if err != nil {
			show.lost(err)
		} else {
			pace.add(time.Now(), s.done())
			show.progress(s, pace.rate())
		}
		if err == nil && (s.Pending == 0 || !s.Balanced) {
			show.end()
			return farewell(p.Stdout, s)
		}
		if pause(ctx, nextLook(show.interval, time.Since(begun))) != nil {
			show.end()
			return nil
		}
	}
}

// farewell says that all is done, or that the counts do not add up.
func farewell(out io.Writer, s *status) error {
	if !s.Balanced {
		return s.fault()
	}
	_, err := fmt.Fprintf(out, "every eligible project is analysed: %s completed, %s failed; %s repositories missing, in %s projects\n",
		thousands(s.Completed), thousands(s.Failed), thousands(s.MissingTotal), thousands(s.ProjectsWithMissing))
	return err
}

// nextLook keeps counting below a tenth of the time: a big installation's
// projects take seconds to count.
func nextLook(interval, took time.Duration) time.Duration {
	return max(interval, 9*took)
}

// pace measures how fast projects are done, from the last looks.
type pace struct{ looks []paceLook }

type paceLook struct {
	at   time.Time
	done int64
}

// paceLooks is how many looks the rate is taken over.
const paceLooks = 30

func (p *pace) add(at time.Time, done int64) {
	p.looks = append(p.looks, paceLook{at, done})
	if len(p.looks) > paceLooks {
		p.looks = p.looks[1:]
	}
}

// rate is in projects a second; 0 if it is not known, or nothing moves.
func (p *pace) rate() float64 {
	if len(p.looks) < 2 {
		return 0
	}
	first, last := p.looks[0], p.looks[len(p.looks)-1]
	seconds := last.at.Sub(first.at).Seconds()
	if seconds <= 0 || last.done <= first.done {
		return 0
	}
	return float64(last.done-first.done) / seconds
}

// display is where the progress goes: one line drawn again and again on a
// terminal, plain lines elsewhere.
type display struct {
	out      io.Writer
	terminal bool
	interval time.Duration
	drawn    bool
}

func newDisplay(out io.Writer, interval time.Duration) *display {
	d := &display{out: out, terminal: isTerminal(out), interval: interval}
	switch {
	case interval > 0:
	case d.terminal:
		d.interval = time.Second
	default:
		d.interval = 10 * time.Second
	}
	return d
}

func (d *display) progress(s *status, rate float64) {
	if d.terminal {
		d.draw(progressBar(s, rate, width(d.out)-1))
		return
	}
	d.line(progressLine(s, rate))
}

func (d *display) lost(err error) {
	d.line(printable("no status: " + strings.ReplaceAll(err.Error(), "\n", "; ")))
}

func (d *display) line(line string) {
	if d.terminal {
		d.draw(clip(line, width(d.out)-1))
		return
	}
	fmt.Fprintln(d.out, time.Now().Format(time.TimeOnly)+" "+line)
}

// draw replaces the line that was drawn last.
func (d *display) draw(line string) {
	fmt.Fprint(d.out, "\r\x1b[K"+line)
	d.drawn = true
}

// end leaves the last line standing.
func (d *display) end() {
	if d.drawn {
		fmt.Fprintln(d.out)
	}
	d.drawn = false
}

// progressLine is the progress as text.
func progressLine(s *status, rate float64) string {
	return fmt.Sprintf("%s of %s (%s)%s", thousands(s.done()), thousands(s.Eligible), percent(s.done(), s.Eligible), progressTail(s, rate))
}

// barWidths are the least and the most columns of a bar.
const (
	narrowBar = 10
	wideBar   = 40
)

// progressBar is the progress with a bar, in no more columns than given.
func progressBar(s *status, rate float64, columns int) string {
	head := fmt.Sprintf("%6s", percent(s.done(), s.Eligible))
	tail := fmt.Sprintf(" %s/%s%s", thousands(s.done()), thousands(s.Eligible), progressTail(s, rate))
	bar := ""
	// Where there is little room numbers say more than a bar.
	if room := columns - utf8.RuneCountInString(head+tail) - 3; room >= narrowBar {
		bar = " |" + filled(s.done(), s.Eligible, min(room, wideBar)) + "|"
	}
	return clip(head+bar+tail, columns)
}

// filled is the inside of a bar.
func filled(part, all int64, columns int) string {
	full := columns
	if all > 0 {
		full = int(part * int64(columns) / all)
	}
	return strings.Repeat("█", full) + strings.Repeat("░", columns-full)
}

func progressTail(s *status, rate float64) string {
	tail := fmt.Sprintf(", %s missing", thousands(s.MissingTotal))
	if s.Failed > 0 {
		tail += fmt.Sprintf(", %s failed", thousands(s.Failed))
	}
	if s.Stashed != nil && *s.Stashed > 0 {
		tail += fmt.Sprintf(", %s stashed", thousands(int64(*s.Stashed)))
	}
	switch {
	case s.Pending == 0:
		return tail
	case s.Holding != nil:
		return tail + ", holding: " + printable(*s.Holding)
	case !s.Enabled:
		return tail + ", scanning is disabled"
	case s.MaxConcurrency == 0:
		return tail + ", max_concurrency is 0"
	case s.more.rests:
		return tail + ", outside of active_hours"
	case s.Stashed != nil && consumers(s.more.processes) == 0:
		return tail + ", no consumer is alive"
	case len(s.more.scope) > 0:
		// Most of what is pending may be out of it: no time left is known.
		return tail + ", in scope " + printable(strings.Join(s.more.scope, ",")) + " only"
	case rate > 0:
		return tail + fmt.Sprintf(", %.3g/s, %s left", rate, timeLeft(s.Pending, rate))
	}
	return tail
}

// timeLeft rounds to what an estimate is worth.
func timeLeft(pending int64, rate float64) string {
	seconds := float64(pending) / rate
	switch {
	case seconds < 60:
		return fmt.Sprintf("%.0f s", seconds)
	case seconds < 10*60:
		return strconv.FormatFloat(math.Round(seconds/6)/10, 'f', -1, 64) + " min"
	case seconds < 90*60:
		return fmt.Sprintf("%.0f min", seconds/60)
	case seconds < 48*3600:
		return fmt.Sprintf("%.0f h", seconds/3600)
	default:
		return fmt.Sprintf("%.0f days", seconds/86400)
	}
}

// clip cuts a line to so many columns.
func clip(line string, columns int) string {
	runes := []rune(line)
	if columns < 1 || len(runes) <= columns {
		return line
	}
	return string(runes[:columns-1]) + "…"
}
