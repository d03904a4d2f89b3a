package cmd

import (
	"context"
	"errors"
	"fmt"
	"time"

	"regmend/shared/gitlab"
	"regmend/shared/postgres"
)

// sweepStatus is the current run's last sweep, as status --json has it.
type sweepStatus struct {
	ID           int64               `json:"id"`
	State        postgres.SweepState `json:"state"`
	Reason       string              `json:"reason"` // why it failed, or began its walk anew
	StartedBy    string              `json:"started_by"`
	StartedAt    time.Time           `json:"started_at"`
	EndedAt      *time.Time          `json:"ended_at"` // null: not yet
	Projects     int64               `json:"projects"` // that it may prove
	Pages        int                 `json:"pages"`
	Repositories int64               `json:"repositories"`
	Unowned      int64               `json:"unowned"`
	Candidates   int64               `json:"candidates"`
	Proven       int64               `json:"proven"`
}

// readSweep leaves the sweep nil where the run has none.
func (l *looker) readSweep(ctx context.Context, s *status) error {
	w, err := l.db.Sweep(ctx)
	switch {
	case errors.Is(err, gitlab.ErrNotFound), err == nil && w.Run != s.Run:
		return nil
	case err != nil:
		return err
	}
	s.Sweep = &sweepStatus{
		ID: w.ID, State: w.State, Reason: w.Reason, StartedBy: w.StartedBy, StartedAt: w.StartedAt,
		Projects: w.Projects, Pages: w.Pages, Repositories: w.Repositories, Unowned: w.Unowned,
		Candidates: w.Candidates, Proven: w.Proven,
	}
	if w.Ended() {
		s.Sweep.EndedAt = &w.EndedAt
	}
	return nil
}

// text is how far the sweep is, for people.
func (s *sweepStatus) text() string {
	text := fmt.Sprintf("%d, %s", s.ID, s.course())
	if s.Reason != "" {
		text += ": " + printable(s.Reason)
	}
	return text
}

func (s *sweepStatus) course() string {
	pages := fmt.Sprintf("%s with %s", counted(s.Pages, "page", "pages"), thousands(s.Repositories)+" repositories")
	switch s.State {
	case postgres.SweepPreparing:
		return fmt.Sprintf("preparing, %s projects noted", thousands(s.Projects))
	case postgres.SweepWalking:
		return "walking, " + pages + " read"
	case postgres.SweepJudging:
		return fmt.Sprintf("judging, %s candidates; %s of %s projects completed",
			thousands(s.Candidates), thousands(s.Proven), thousands(s.Projects))
	case postgres.SweepDone:
		return fmt.Sprintf("done: %s, %s of them nobody's; %s projects completed by it", pages, thousands(s.Unowned), thousands(s.Proven))
	default:
		return "failed after " + pages
	}
}
