package cmd

import (
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"regmend/shared/claims"

	"github.com/hibiken/asynq"
)

// print writes the status for people.
func (s *status) print(out io.Writer, now time.Time) error {
	_, err := io.WriteString(out, s.text(now))
	return err
}

func (s *status) text(now time.Time) string {
	var b strings.Builder
	line := func(subject, format string, args ...any) {
		b.WriteString(strings.TrimRight(fmt.Sprintf("%-14s", subject)+fmt.Sprintf(format, args...), " ") + "\n")
	}
	line("run", "%s", s.runText())
	line("scanning", "%s", s.scanningText())
	line("brake", "%s", s.Brake.text(s.MaxConcurrency))
	if scope := s.more.scope; len(scope) > 0 {
		line("scope", "%s; all other projects stay pending", printable(strings.Join(scope, ", ")))
	}
	for _, text := range s.holdingTexts(now) {
		line("HOLDING", "%s", text)
	}
	if s.Sweep != nil {
		line("sweep", "%s", s.Sweep.text())
	}
	line("projects", "%11s", thousands(s.Projects))
	line("  ineligible", "%11s   about to be deleted", thousands(s.Ineligible))
	line("  eligible", "%11s", thousands(s.Eligible))
	line("    completed", "%11s   %s", thousands(s.Completed), percent(s.Completed, s.Eligible))
	line("    failed", "%11s   %s", thousands(s.Failed), s.failedText())
	line("    pending", "%11s   %s", thousands(s.Pending), s.pendingText())
	line("missing", "%11s   repositories, in %s projects", thousands(s.MissingTotal), thousands(s.ProjectsWithMissing))
	if s.more.redisErr == nil {
		s.redisText(line)
	}
	return b.String()
}

func (s *status) redisText(line func(subject, format string, args ...any)) {
	for _, q := range s.more.queues {
		line("queue "+q.Queue, "%s", queueText(q))
	}
	stashed := "empty"
	if n := s.more.stash.Entries; n > 0 {
		stashed = fmt.Sprintf("%s results, the oldest %s old", thousands(int64(n)), s.more.stash.Age.Round(time.Second))
	}
	line("stash", "%s", stashed)
	line("slots", "%d of %d in use", *s.RunningScans, s.MaxConcurrency)
	line("processes", "%s", processesText(s.more.processes))
}

// processesText names the live processes; without a consumer nothing is done.
func processesText(processes []claims.Process) string {
	var names []string
	for _, p := range processes {
		names = append(names, p.Kind+" "+p.Name)
	}
	text := "no consumer is alive: start regmend consumer"
	if n := consumers(processes); n > 0 {
		text = counted(n, "consumer", "consumers") + " alive"
	}
	if len(names) > 0 {
		text += " (" + printable(strings.Join(names, ", ")) + ")"
	}
	return text
}

func consumers(processes []claims.Process) int {
	n := 0
	for _, p := range processes {
		if p.Kind == "consumer" {
			n++
		}
	}
	return n
}

func (s *status) runText() string {
	if s.Run == 0 {
		return "none yet: the producer begins one, or regmend enable"
	}
	return fmt.Sprintf("%d, since %s: %s", s.Run, s.more.run.StartedAt.Local().Format(time.DateTime), printable(s.more.run.Reason))
}

func (s *status) scanningText() string {
	switch {
	case !s.Enabled:
		return "disabled: regmend enable"
	case s.MaxConcurrency == 0:
		return "enabled, but max_concurrency is 0: regmend settings set max_concurrency 2"
	case s.more.rests:
		return s.restsText()
	default:
		text := fmt.Sprintf("enabled, at most %d at once", s.MaxConcurrency)
		if s.RequestsPerSecond > 0 {
			text += ", and " + counted(s.RequestsPerSecond, "request", "requests") + " a second"
		}
		return text
	}
}

// holdingTexts says everything that keeps projects from being scanned.
func (s *status) holdingTexts(now time.Time) []string {
	if s.more.redisErr != nil {
		return []string{printable(s.more.redisErr.Error())}
	}
	var texts []string
	for _, h := range s.more.holds {
		texts = append(texts, fmt.Sprintf("%s: %s (for %s)", h.Kind, printable(h.Reason), now.Sub(h.Since).Round(time.Second)))
	}
	return texts
}

func (s *status) failedText() string {
	if s.Failed == 0 {
		return ""
	}
	return "tried again by themselves; why: regmend report --failed"
}

func (s *status) pendingText() string {
	if s.Looked == 0 {
		return ""
	}
	return thousands(s.Looked) + " of them waiting for a second look"
}

func queueText(q *asynq.QueueInfo) string {
	text := fmt.Sprintf("%s waiting, %d running", thousands(int64(q.Pending)), q.Active)
	if later := q.Scheduled + q.Retry; later > 0 {
		text += fmt.Sprintf(", %d later", later)
	}
	if q.Archived > 0 {
		text += fmt.Sprintf(", %d given up", q.Archived)
	}
	if q.Paused {
		text += ", PAUSED"
	}
	return text
}

// percent is how much of all part is; of nothing, all.
func percent(part, all int64) string {
	if all == 0 {
		return "100 %"
	}
	return strconv.FormatFloat(float64(part*1000/all)/10, 'f', -1, 64) + " %"
}

// thousands groups the digits of n by commas.
func thousands(n int64) string {
	digits := strconv.FormatInt(n, 10)
	for i := len(digits) - 3; i > 0 && digits[i-1] != '-'; i -= 3 {
		digits = digits[:i] + "," + digits[i:]
	}
	return digits
}
