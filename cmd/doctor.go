package cmd

import (
	"context"
	"fmt"
	"iter"

	"github.com/spf13/cobra"
)

func (v *verbs) doctor() *cobra.Command {
	c := &cobra.Command{
		Use:   "doctor",
		Short: "Check every part and setting, changing nothing",
		Long: `Check every part and every setting, a line each, changing nothing: the configuration,
Postgres and what this user may do there, Redis, the registry and what these
credentials may do there, the clocks, and the witness, which looks for repositories
the database knows in the registry. Exit code 1 if one fails.`,
		Example: `  regmend doctor
  regmend doctor | grep -v ^ok`,
		Args: takesNothing,
	}
	return v.lenient(c, database|queue|registryHost, func(ctx context.Context, x *parts, _ []string) error {
		var tally [3]int
		for f := range x.diagnose(ctx) {
			tally[f.level]++
			fmt.Fprintln(x.process.Stdout, f)
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if tally[fails] > 0 {
			return fmt.Errorf("%s, %s, %d ok", counted(tally[fails], "check fails", "checks fail"),
				counted(tally[warns], "warning", "warnings"), tally[passes])
		}
		return nil
	})
}

// level is how bad a finding is.
type level int

const (
	passes level = iota
	warns
	fails
)

func (l level) String() string { return [...]string{"ok", "warn", "FAIL"}[l] }

// finding is what a check found, and what is to be done about it.
type finding struct {
	level   level
	subject string
	found   string
	todo    string // "" where there is nothing to do
}

// String is the finding as one line.
func (f finding) String() string {
	line := fmt.Sprintf("%-4s  %s: %s", f.level, f.subject, f.found)
	if f.todo != "" {
		line += ". → " + f.todo
	}
	return printable(line)
}

func ok(subject, found string, args ...any) finding {
	return finding{level: passes, subject: subject, found: fmt.Sprintf(found, args...)}
}

func warn(subject, todo, found string, args ...any) finding {
	return finding{level: warns, subject: subject, found: fmt.Sprintf(found, args...), todo: todo}
}

func fail(subject, todo, found string, args ...any) finding {
	return finding{level: fails, subject: subject, found: fmt.Sprintf(found, args...), todo: todo}
}

// unchecked says which checks were not possible, after why.
func unchecked(subject, checks string) finding {
	return finding{level: warns, subject: subject, found: checks + " could not be checked"}
}

// diagnose yields the findings as they are made.
func (x *parts) diagnose(ctx context.Context) iter.Seq[finding] {
	return func(yield func(finding) bool) {
		e := examination{parts: x}
		for _, examine := range []func(context.Context) []finding{
			e.configuration, e.postgres, e.redis, e.registry, e.witness, e.clocks,
		} {
			for _, f := range examine(ctx) {
				if ctx.Err() != nil || !yield(f) {
					return
				}
			}
		}
	}
}
