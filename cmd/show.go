package cmd

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"regmend/shared/gitlab"
	"regmend/shared/postgres"

	"github.com/spf13/cobra"
)

func (v *verbs) show() *cobra.Command {
	c := &cobra.Command{
		Use:   "show PROJECT",
		Short: "What is known of one project",
		Long:  `Show a project's result with its evidence, and each missing repository.`,
		Example: `  regmend show 42
  regmend show group/sub/app`,
		Args: takes(1, "one project, an ID or a full path"),
	}
	return v.verb(c, database, func(ctx context.Context, x *parts, args []string) error {
		db, err := x.readyDatabase(ctx)
		if err != nil {
			return err
		}
		state, err := db.State(ctx)
		if err != nil {
			return err
		}
		detail, err := db.Show(ctx, state.Run, args[0])
		if errors.Is(err, gitlab.ErrNotFound) {
			return fmt.Errorf("no such project: %s (give its ID, or its full path such as group/sub/app)", args[0])
		}
		if err != nil {
			return err
		}
		fmt.Fprint(x.process.Stdout, detailText(detail, time.Now()))
		return nil
	})
}

// detailText is what is known of a project, for people.
func detailText(d postgres.Detail, now time.Time) string {
	var b strings.Builder
	line := func(subject, format string, args ...any) {
		fmt.Fprintf(&b, "%-10s%s\n", subject, printable(fmt.Sprintf(format, args...)))
	}
	paths := func(names []string) {
		for _, name := range names {
			line("", "%s", d.Project.RepositoryPath(name))
		}
	}
	line("project", "%d", d.Project.ID)
	line("path", "%s", pathText(d.Project.FullPath))
	line("status", "%s", statusText(d))
	if !d.LookedAt.IsZero() {
		line("look", "first of two at %s: %d seem to be missing", d.LookedAt.Local().Format(time.DateTime), len(d.Looked))
		paths(d.Looked)
	}
	if !d.Recorded {
		return b.String()
	}
	line("updated", "%s", d.UpdatedAt.Local().Format(time.DateTime))
	line("scan", "%d, of run %d", d.Scan, d.Run)
	if d.Status == gitlab.Completed {
		line("evidence", "%s", evidenceText(d))
	}
	if d.Contradiction != "" {
		line("disputed", "%s", d.Contradiction)
	}
	if f := d.Failure; f.Error != "" {
		line("failure", "%s", f.Error)
		line("attempts", "%d, the next %s", f.Attempts, nextAttempt(f.NextAttemptAt, now))
	}
	if d.Status == gitlab.Completed {
		line("missing", "%d", len(d.Missing))
	}
	paths(d.Missing)
	if len(d.Young) > 0 {
		line("too young", "%d, not counted; looked at again from %s on", len(d.Young), d.LookAgainAt.Local().Format(time.DateTime))
	}
	paths(d.Young)
	return b.String()
}

func pathText(path string) string {
	if path == "" {
		return "none: the project has no route"
	}
	return path
}

func statusText(d postgres.Detail) string {
	switch {
	case !d.Eligible:
		return "not eligible: about to be deleted"
	case !d.Recorded && !d.LookedAt.IsZero():
		return "pending: waits for a second look"
	case !d.Recorded:
		return "pending"
	case !d.Trusted:
		return fmt.Sprintf("pending; its last result, %s, does not count: it is of another run, or lacks its evidence", d.Status)
	case d.Failure.Error != "" && d.Status == gitlab.Completed:
		return "completed; a later scan failed"
	default:
		return string(d.Status)
	}
}

func evidenceText(d postgres.Detail) string {
	text := fmt.Sprintf("%s listed in %s (%s)", counted(d.Listed, "repository", "repositories"),
		counted(d.Pages, "page", "pages"), d.Method)
	if d.ListedPath != d.Project.FullPath {
		text += ", under its path of then, " + d.ListedPath
	}
	return text
}

func nextAttempt(at, now time.Time) string {
	if !at.After(now) {
		return "is due"
	}
	return "at " + at.Local().Format(time.DateTime)
}
