package cmd

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"time"

	"regmend/shared/gitlab"
	"regmend/shared/postgres"

	"github.com/spf13/cobra"
)

func (v *verbs) diff() *cobra.Command {
	var asJSON bool
	c := &cobra.Command{
		Use:   "diff PROJECT [N] [M]",
		Short: "What appeared and vanished between two versions",
		Long: `Compare two versions of what a project lists: which repositories appeared (+), which
vanished (-), and when: after the last time that it was otherwise, and before the
first time that it was so.

Without M the latest version is compared, without N with the one before it.`,
		Example: `  regmend diff 42               the latest against the one before
  regmend diff group/app 3      the latest against version 3
  regmend diff group/app 3 5`,
		Args: cobra.RangeArgs(1, 3),
	}
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return v.verb(c, database, func(ctx context.Context, x *parts, args []string) error {
		numbers, err := versionNumbers(args[1:])
		if err != nil {
			return misuse{err}
		}
		db, err := x.readyDatabase(ctx)
		if err != nil {
			return err
		}
		p, snapshots, err := snapshotsOf(ctx, db, args[0])
		if err != nil {
			return err
		}
		span, err := spanOf(snapshots, numbers)
		if err != nil {
			return err
		}
		d, err := compareVersions(ctx, db, p, span)
		if err != nil {
			return err
		}
		if asJSON {
			return printJSON(x.process.Stdout, d)
		}
		d.print(x.process.Stdout)
		return nil
	})
}

func versionNumbers(words []string) (numbers []int64, err error) {
	for _, word := range words {
		n, err := strconv.ParseInt(word, 10, 32)
		if err != nil || n < 1 {
			return nil, fmt.Errorf("%q is not the number of a version: they are whole numbers from 1 on", word)
		}
		numbers = append(numbers, n)
	}
	if len(numbers) == 2 && numbers[0] >= numbers[1] {
		return nil, fmt.Errorf("version %d does not come before version %d", numbers[0], numbers[1])
	}
	return numbers, nil
}

// spanOf are the versions from the one to be compared to the other.
func spanOf(snapshots []postgres.Snapshot, numbers []int64) ([]postgres.Snapshot, error) {
	if len(snapshots) == 0 {
		return nil, errors.New("there is no version: no repository was listed yet")
	}
	from, to := len(snapshots)-2, len(snapshots)-1
	for i, place := range []*int{&from, &to}[:len(numbers)] {
		*place = slices.IndexFunc(snapshots, func(s postgres.Snapshot) bool { return s.Number == numbers[i] })
		if *place < 0 {
			return nil, fmt.Errorf("there is no version %d: those kept are %s", numbers[i], keptText(snapshots))
		}
	}
	switch {
	case from < 0:
		return nil, fmt.Errorf("version %d is the only one: there is nothing to compare it with", snapshots[to].Number)
	case from >= to:
		return nil, fmt.Errorf("version %d is the latest: there is nothing to compare it with", snapshots[from].Number)
	}
	return snapshots[from : to+1], nil
}

func keptText(snapshots []postgres.Snapshot) string {
	first, last := snapshots[0].Number, snapshots[len(snapshots)-1].Number
	if first == last {
		return strconv.FormatInt(first, 10)
	}
	return fmt.Sprintf("%d to %d", first, last)
}

// difference is what diff --json prints.
type difference struct {
	ProjectID int64    `json:"project_id"`
	FullPath  string   `json:"full_path"`
	From      version  `json:"from"`
	To        version  `json:"to"`
	Appeared  []change `json:"appeared"`
	Vanished  []change `json:"vanished"`
}

// change is one repository's, after the one moment and before the other.
type change struct {
	Name   string    `json:"name"`
	Path   string    `json:"path"`
	After  time.Time `json:"after"`
	Before time.Time `json:"before"`
}

// compareVersions compares the first version with the last, and finds out between
// which of those in between each repository changed last.
func compareVersions(ctx context.Context, db *postgres.DB, p gitlab.Project, span []postgres.Snapshot) (difference, error) {
	d := difference{
		ProjectID: p.ID, FullPath: p.FullPath, From: newVersion(span[0]), To: newVersion(span[len(span)-1]),
		Appeared: []change{}, Vanished: []change{},
	}
	first, err := db.SnapshotNames(ctx, p.ID, span[0].Number)
	if err != nil {
		return d, err
	}
	changed := map[string]change{}
	last := first
	for i, s := range span[1:] {
		names, err := db.SnapshotNames(ctx, p.ID, s.Number)
		if err != nil {
			return d, err
		}
		appeared, vanished := gitlab.Changes(last, names)
		for _, name := range slices.Concat(appeared, vanished) {
			changed[name] = change{name, p.RepositoryPath(name), span[i].LastSeenAt, s.FirstSeenAt}
		}
		last = names
	}
	appeared, vanished := gitlab.Changes(first, last)
	for _, name := range appeared {
		d.Appeared = append(d.Appeared, changed[name])
	}
	for _, name := range vanished {
		d.Vanished = append(d.Vanished, changed[name])
	}
	return d, nil
}

func (d difference) print(out io.Writer) {
	line := func(format string, args ...any) { fmt.Fprintln(out, printable(fmt.Sprintf(format, args...))) }
	for _, v := range []version{d.From, d.To} {
		line("version %d: %s, seen from %s to %s", v.Number, counted(v.Listed, "repository", "repositories"),
			v.FirstSeenAt.Local().Format(time.DateTime), v.LastSeenAt.Local().Format(time.DateTime))
	}
	for _, changes := range []struct {
		sign string
		of   []change
	}{{"+", d.Appeared}, {"-", d.Vanished}} {
		for _, c := range changes.of {
			line("%s %s  between %s and %s", changes.sign, c.Path, c.After.Local().Format(time.DateTime), c.Before.Local().Format(time.DateTime))
		}
	}
	line("%d appeared, %d vanished", len(d.Appeared), len(d.Vanished))
}
