package cmd

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/spf13/cobra"
)

func (v *verbs) status() *cobra.Command {
	var asJSON, watch bool
	var interval time.Duration
	c := &cobra.Command{
		Use:   "status",
		Short: "How far it is: projects, run, queue",
		Long: `Show how many projects are analysed, the current run, what is queued, running and
stashed, and why nothing is scanned if so. Every count is taken by itself in one
snapshot of the database; if they do not add up it says so, with exit code 1.

--watch goes on until every eligible project is analysed, or Ctrl-C.`,
		Example: `  regmend status
  regmend status --watch
  regmend status --json | jq .pending`,
		Args: takesNothing,
	}
	c.Flags().BoolVar(&asJSON, "json", false, "as JSON")
	c.Flags().BoolVar(&watch, "watch", false, "show the progress until all is done")
	c.Flags().DurationVar(&interval, "interval", 0, "with --watch, how often to look (default 1s on a terminal, 10s elsewhere)")
	c.MarkFlagsMutuallyExclusive("json", "watch")
	return v.verb(c, database|queue, func(ctx context.Context, x *parts, _ []string) error {
		look, err := x.looker(ctx)
		if err != nil {
			return err
		}
		if watch {
			return watchStatus(ctx, x.process, look, interval)
		}
		s, err := look.now(ctx)
		if err != nil {
			return err
		}
		if asJSON {
			err = json.NewEncoder(x.process.Stdout).Encode(s)
		} else {
			err = s.print(x.process.Stdout, time.Now())
		}
		if err != nil {
			return err
		}
		return s.fault()
	})
}

// status is what status --json says.
type status struct {
	Run                 int64   `json:"run"`
	Enabled             bool    `json:"enabled"`
	MaxConcurrency      int     `json:"max_concurrency"`
	Projects            int64   `json:"projects"`
	Eligible            int64   `json:"eligible"`
	Ineligible          int64   `json:"ineligible"`
	Completed           int64   `json:"completed"`
	Failed              int64   `json:"failed"`
	Pending             int64   `json:"pending"`
	Looked              int64   `json:"looked"` // of the pending, those that wait for a second look
	MissingTotal        int64   `json:"missing_total"`
	ProjectsWithMissing int64   `json:"projects_with_missing"`
	Stashed             *int    `json:"stashed"`      // null: Redis cannot be reached
	QueuedTasks         *int    `json:"queued_tasks"` // likewise
	RunningScans        *int    `json:"running_scans"`
	Balanced            bool    `json:"balanced"`
	Holding             *string `json:"holding"`
	// Sweep is the run's last one; null: none.
	Sweep *sweepStatus `json:"sweep"`

	RequestsPerSecond int          `json:"requests_per_second"`
	Brake             *brakeStatus `json:"brake"` // null: off
	ActiveHours       string       `json:"active_hours"`
	ResumesAt         *time.Time   `json:"resumes_at"` // null: it is within active_hours, or never is

	more details
}

// balance tells whether the counts add up.
func (s *status) balance() bool {
	return s.Eligible == s.Completed+s.Failed+s.Pending && s.Projects == s.Eligible+s.Ineligible
}

// fault is what makes the status a failure.
func (s *status) fault() error {
	if !s.Balanced {
		return fmt.Errorf("THE COUNTS DO NOT ADD UP: of %d projects %d are eligible and %d not, but %d completed + %d failed + %d pending = %d; "+
			"look at regmend.data_repair_details, and report this", s.Projects, s.Eligible, s.Ineligible,
			s.Completed, s.Failed, s.Pending, s.Completed+s.Failed+s.Pending)
	}
	return s.more.redisErr
}

// done is how many projects are analysed, with or without success.
func (s *status) done() int64 { return s.Completed + s.Failed }
