package dashboard

import (
	"context"
	"errors"
	"fmt"

	"regmend/shared/gitlab"
	"regmend/shared/postgres"
)

// readSweep reads the current run's last sweep, if it has one.
func (r *reader) readSweep(ctx context.Context, s *snapshot) error {
	last, err := r.src.DB.Sweep(ctx)
	switch {
	case errors.Is(err, gitlab.ErrNotFound), err == nil && last.Run != s.state.Run.ID:
		return nil
	case err != nil:
		return err
	}
	s.sweep = &last
	return nil
}

// sweepLine is how far the sweep is, in one line; "" where there is none.
func sweepLine(s *postgres.Sweep) string {
	if s == nil {
		return ""
	}
	read := fmt.Sprintf("%s repositories read on %s pages of the catalog", number(s.Repositories), number(s.Pages))
	switch s.State {
	case postgres.SweepPreparing:
		return fmt.Sprintf("Sweep %d prepares: %s projects noted.", s.ID, number(s.Projects))
	case postgres.SweepWalking:
		return fmt.Sprintf("Sweep %d walks: %s.", s.ID, read)
	case postgres.SweepJudging:
		return fmt.Sprintf("Sweep %d judges: %s of %s projects completed.", s.ID, number(s.Proven), number(s.Projects))
	case postgres.SweepDone:
		return fmt.Sprintf("Sweep %d is done: %s, %s of them nobody's; %s projects completed by it.",
			s.ID, read, number(s.Unowned), number(s.Proven))
	default:
		return fmt.Sprintf("Sweep %d failed, so projects are scanned one by one: %s.", s.ID, s.Reason)
	}
}

func (out scrape) sweep(s *postgres.Sweep) {
	if s == nil {
		s = &postgres.Sweep{State: postgres.SweepDone}
	}
	out.flag("sweep_running", "Whether a sweep is under way.", !s.Ended())
	out.gauge("sweep_pages", "Pages of the catalog that the run's last sweep read.", float64(s.Pages))
	out.gauge("sweep_repositories", "Repositories on them.", float64(s.Repositories))
	out.gauge("sweep_unowned_repositories", "Repositories of those that are under no project's path.", float64(s.Unowned))
	out.gauge("sweep_proven_projects", "Projects that the run's last sweep completed.", float64(s.Proven))
}
