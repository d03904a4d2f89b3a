// Package cmd is the command line: a verb a file, flags and environment made
// into configurations, the parts wired together. It decides nothing about
// projects.
package cmd

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"
)

// Exit codes.
const (
	done    = 0
	failed  = 1
	misused = 2
)

// Process is what the command line runs in.
type Process struct {
	// Version is what --version says; "" asks the build information.
	Version string
	// Environ is the environment, as os.Environ gives it.
	Environ        []string
	Stdin          io.Reader
	Stdout, Stderr io.Writer
}

// errSaid ends a command with exit code 1 where the reason has been told.
var errSaid = errors.New("the reason was told already")

// misuse is an error of the one who typed the command.
type misuse struct{ error }

func (m misuse) Unwrap() error { return m.error }

// Run runs the command line and returns its exit code. It blocks until
// everything it started has ended; ending ctx asks it to stop.
func Run(ctx context.Context, p Process, args []string) int {
	var begun bool
	root := newRoot(p, &begun)
	root.SetArgs(dashed(args))
	c, err := root.ExecuteContextC(ctx)
	// What cobra itself objects to, it objects to before the verb begins.
	if err != nil && !begun {
		err = misuse{fmt.Errorf("%w (see %s --help)", err, c.CommandPath())}
	}
	return exit(ctx, p.Stderr, err)
}

func exit(ctx context.Context, stderr io.Writer, err error) int {
	var typed misuse
	switch {
	case err == nil:
		return done
	case errors.Is(err, errSaid):
		return failed
	case ctx.Err() != nil && errors.Is(err, context.Canceled):
		tell(stderr, errors.New("interrupted"))
		return failed
	case errors.As(err, &typed):
		tell(stderr, err)
		return misused
	default:
		tell(stderr, err)
		return failed
	}
}

// tell writes an error, a line for each fault.
func tell(stderr io.Writer, err error) {
	for line := range strings.SplitSeq(err.Error(), "\n") {
		if line = strings.TrimSpace(line); line != "" {
			fmt.Fprintln(stderr, "regmend: "+printable(line))
		}
	}
}

// newRoot builds the tree of verbs; begun is set when one of them begins.
func newRoot(p Process, begun *bool) *cobra.Command {
	root := &cobra.Command{
		Use:   "regmend",
		Short: "Find the container repositories GitLab's database has lost",
		Long: `regmend finds the container repositories that a registry holds and GitLab's
database has lost, and says for every project how many and which.

Where everything is, it is told by the environment: see regmend help environment.
Exit codes: 0 done, 1 failed, 2 misused.`,
		Example: `  regmend doctor                    is everything as it should be?
  regmend migrate --plan            what would be created
  regmend migrate                   create regmend's schema
  regmend producer & regmend consumer &
  regmend enable                    begin to scan
  regmend status --watch            how far it is
  regmend report --missing          what was lost`,
		Version:       versionOf(p),
		SilenceErrors: true,
		SilenceUsage:  true,
	}
	root.SetIn(p.Stdin)
	root.SetOut(p.Stdout)
	root.SetErr(p.Stderr)
	root.SetVersionTemplate("regmend {{.Version}}\n")
	root.SetHelpCommandGroupID(groupOther)
	root.SetCompletionCommandGroupID(groupOther)
	addVerbs(root, &verbs{process: p, begun: begun})
	return root
}

// Groups of verbs in the help.
const (
	groupSetUp = "setup"
	groupRun   = "run"
	groupWork  = "work"
	groupOther = "other"
)

func addVerbs(root *cobra.Command, v *verbs) {
	for _, g := range []struct {
		id, title string
		verbs     []*cobra.Command
	}{
		{groupSetUp, "Setting up:", []*cobra.Command{v.migrate(), v.doctor(), v.check(), v.uninstall()}},
		{groupRun, "Running:", []*cobra.Command{v.producer(), v.consumer(), v.web()}},
		{groupWork, "Operating:", []*cobra.Command{
			v.enable(), v.disable(), v.settings(), v.status(), v.report(), v.show(), v.snapshots(), v.diff(), v.enqueue(), v.sweep(),
			v.repair(), v.run(),
		}},
		{groupOther, "Other:", nil},
	} {
		root.AddGroup(&cobra.Group{ID: g.id, Title: g.title})
		for _, c := range g.verbs {
			c.GroupID = g.id
			root.AddCommand(c)
		}
	}
	root.AddCommand(environmentHelp())
}
