package cmd

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"regmend/shared/gitlab"
	"regmend/shared/postgres"

	"github.com/spf13/cobra"
)

func (v *verbs) snapshots() *cobra.Command {
	var asJSON bool
	c := &cobra.Command{
		Use:   "snapshots PROJECT",
		Short: "The versions of what a project lists",
		Long: `List the versions of what the registry lists of a project, the oldest first: how
many repositories, when that was seen first and last, and the SHA-256 of their
names, each followed by a newline.

A listing that equals the latest version is no new one. Old versions are removed:
see the settings retain_snapshots and retain_snapshots_for.`,
		Example: `  regmend snapshots 42
  regmend snapshots group/sub/app --json`,
		Args: takes(1, "one project, an ID or a full path"),
	}
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return v.verb(c, database, func(ctx context.Context, x *parts, args []string) error {
		db, err := x.readyDatabase(ctx)
		if err != nil {
			return err
		}
		p, snapshots, err := snapshotsOf(ctx, db, args[0])
		if err != nil {
			return err
		}
		if asJSON {
			return printJSON(x.process.Stdout, newHistory(p, snapshots))
		}
		return printSnapshots(x.process.Stdout, snapshots)
	})
}

// snapshotsOf says in words if there is no such project.
func snapshotsOf(ctx context.Context, db *postgres.DB, idOrFullPath string) (gitlab.Project, []postgres.Snapshot, error) {
	p, snapshots, err := db.Snapshots(ctx, idOrFullPath)
	if errors.Is(err, gitlab.ErrNotFound) {
		err = fmt.Errorf("no such project: %s (give its ID, or its full path such as group/sub/app)", idOrFullPath)
	}
	return p, snapshots, err
}

func printSnapshots(out io.Writer, snapshots []postgres.Snapshot) error {
	if len(snapshots) == 0 {
		_, err := fmt.Fprintln(out, "none: no repository was listed yet")
		return err
	}
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "VERSION\tREPOSITORIES\tFIRST SEEN\tLAST SEEN\tRUN\tSCANS\tDIGEST")
	for _, s := range snapshots {
		fmt.Fprintf(w, "%d\t%d\t%s\t%s\t%d\t%d to %d\t%x\n", s.Number, s.Listed,
			s.FirstSeenAt.Local().Format(time.DateTime), s.LastSeenAt.Local().Format(time.DateTime), s.Run, s.FirstScan, s.LastScan, s.Digest)
	}
	return w.Flush()
}

// history is what snapshots --json prints.
type history struct {
	ProjectID int64     `json:"project_id"`
	FullPath  string    `json:"full_path"`
	Versions  []version `json:"versions"`
}

type version struct {
	Number      int64     `json:"number"`
	Digest      string    `json:"digest"`
	Listed      int       `json:"listed"`
	Run         int64     `json:"run"`
	FirstScan   int64     `json:"first_scan"`
	LastScan    int64     `json:"last_scan"`
	FirstSeenAt time.Time `json:"first_seen_at"`
	LastSeenAt  time.Time `json:"last_seen_at"`
}

func newHistory(p gitlab.Project, snapshots []postgres.Snapshot) history {
	h := history{ProjectID: p.ID, FullPath: p.FullPath, Versions: []version{}}
	for _, s := range snapshots {
		h.Versions = append(h.Versions, newVersion(s))
	}
	return h
}

func newVersion(s postgres.Snapshot) version {
	return version{
		Number: s.Number, Digest: fmt.Sprintf("%x", s.Digest), Listed: s.Listed, Run: s.Run,
		FirstScan: s.FirstScan, LastScan: s.LastScan, FirstSeenAt: s.FirstSeenAt, LastSeenAt: s.LastSeenAt,
	}
}

func printJSON(out io.Writer, v any) error {
	text, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return err
	}
	_, err = fmt.Fprintln(out, strings.TrimSpace(string(text)))
	return err
}
