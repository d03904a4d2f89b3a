package cmd

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"time"

	"regmend/shared/gitlab"
	"regmend/shared/postgres"

	"github.com/spf13/cobra"
)

func (v *verbs) report() *cobra.Command {
	var format string
	var filter postgres.ReportFilter
	var unowned, ghosts bool
	c := &cobra.Command{
		Use:   "report",
		Short: "The results: what is missing, what failed",
		Long: `Print the current run's results, in the order of project IDs, as they are read.

A table for people, CSV for spreadsheets, or a JSON array. Names of repositories are
relative to the project's path, '' is its root; paths are the registry's.

In CSV, text that a spreadsheet would take for a formula has a ' before it, and so
has text that begins with one: without it, a path or a list of names is what it was.
Control characters and semicolons, which only errors have, are replaced. JSON has
everything as it was.

With --unowned, instead, the paths of the repositories that the last sweep found in
the registry's catalog under no project's path: of projects that were deleted or
moved, or foreign ones.

With --ghosts, instead, the other direction: rows of GitLab's whose repository the
registry does not know. Rows are made before anything is pushed, so some are normal.
They are looked for now, in the projects that are analysed: each of these that has
rows is listed, what is not in its listing is asked for its tags, twice. That takes a
request for each such project, under the cap of all consumers; nothing is changed.`,
		Example: `  regmend report --missing
  regmend report --failed --namespace group/sub
  regmend report --missing --format csv > missing.csv
  regmend report --unowned --format csv > unowned.csv
  regmend report --ghosts --namespace group/sub
  regmend report --format json | jq -r '.[].missing_paths[]'`,
		Args: takesNothing,
	}
	c.Flags().StringVar(&format, "format", "table", "table, csv or json")
	c.Flags().BoolVar(&filter.Missing, "missing", false, "only projects with missing repositories")
	c.Flags().BoolVar(&filter.Failed, "failed", false, "only failed projects")
	c.Flags().StringVar(&filter.Namespace, "namespace", "", "only the project or group of that full `path`, and what is below it")
	c.Flags().BoolVar(&unowned, "unowned", false, "instead, repositories in the registry that are no project's, as the last sweep found them")
	c.Flags().BoolVar(&ghosts, "ghosts", false, "instead, rows whose repository the registry does not know")
	for _, other := range []string{"missing", "failed", "namespace"} {
		c.MarkFlagsMutuallyExclusive("unowned", other)
	}
	for _, other := range []string{"missing", "failed", "unowned"} {
		c.MarkFlagsMutuallyExclusive("ghosts", other)
	}
	needed := func() part {
		if ghosts {
			return database | queue | registryHost
		}
		return database
	}
	return v.choosy(c, database|queue|registryHost, needed, func(ctx context.Context, x *parts, _ []string) error {
		switch {
		case ghosts:
			return x.reportGhosts(ctx, format, filter.Namespace)
		case unowned:
			return x.reportUnowned(ctx, format)
		default:
			return x.report(ctx, format, filter)
		}
	})
}

func (x *parts) report(ctx context.Context, format string, filter postgres.ReportFilter) (err error) {
	out := bufio.NewWriter(x.process.Stdout)
	w, err := newReportWriter(format, out)
	if err != nil {
		return misuse{err}
	}
	db, err := x.readyDatabase(ctx)
	if err != nil {
		return err
	}
	state, err := db.State(ctx)
	if err != nil {
		return err
	}
	if state.Run.ID == 0 {
		return errNoRun
	}
	if filter.Namespace != "" {
		if err := findNamespace(ctx, db, filter.Namespace); err != nil {
			return err
		}
	}
	if err := w.begin(); err != nil {
		return err
	}
	err = db.Report(ctx, state.Run, filter, func(r postgres.ReportRow) error { return w.row(newResult(r)) })
	if err == nil {
		err = w.end()
	}
	// What was read before a failure is shown all the same.
	return errors.Join(err, out.Flush())
}

// result is one project's result, as a report has it.
type result struct {
	ProjectID    int64         `json:"project_id"`
	FullPath     string        `json:"full_path"`
	Status       gitlab.Status `json:"status"`
	MissingCount int           `json:"missing_count"`
	Missing      []string      `json:"missing"`
	MissingPaths []string      `json:"missing_paths"`
	TooYoung     []string      `json:"too_young"` // names, not counted
	UpdatedAt    time.Time     `json:"updated_at"`
	Error        *string       `json:"error"` // null: the last scan completed
}

func newResult(r postgres.ReportRow) result {
	res := result{
		ProjectID:    r.Project.ID,
		FullPath:     r.Project.FullPath,
		Status:       r.Status,
		MissingCount: len(r.Missing),
		Missing:      append([]string{}, r.Missing...),
		MissingPaths: append([]string{}, r.MissingPaths()...),
		TooYoung:     append([]string{}, r.Young...),
		UpdatedAt:    r.UpdatedAt.UTC(),
	}
	if r.Failure.Error != "" {
		res.Error = &r.Failure.Error
	}
	return res
}

// reason is why the last scan failed, or "".
func (r result) reason() string {
	if r.Error == nil {
		return ""
	}
	return *r.Error
}

func newReportWriter(format string, out *bufio.Writer) (reportWriter, error) {
	switch format {
	case "table":
		return &tableWriter{out: out}, nil
	case "csv":
		return newCSVWriter(out), nil
	case "json":
		return &jsonWriter{out: out}, nil
	default:
		return nil, fmt.Errorf("%q is no format: use --format table, csv or json", format)
	}
}
