package cmd

import (
	"context"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"regmend/shared/postgres"

	"github.com/spf13/cobra"
)

func (v *verbs) settings() *cobra.Command {
	var history bool
	c := &cobra.Command{
		Use:   "settings",
		Short: "List the settings, or change one",
		Long: `List the settings. They are kept in the database and apply to all processes;
a change is in force within two seconds.`,
		Example: `  regmend settings
  regmend settings --history
  regmend settings set max_concurrency 4
  regmend settings set max_concurrency 0         stop scanning, keep writing
  regmend settings set scope group/sub,other     only these groups and projects`,
		Args: takesNothing,
	}
	c.Flags().BoolVar(&history, "history", false, "show the last changes instead, the newest first")
	c = v.verb(c, database, func(ctx context.Context, x *parts, _ []string) error {
		db, err := x.readyDatabase(ctx)
		if err != nil {
			return err
		}
		if history {
			return printHistory(ctx, x.process.Stdout, db)
		}
		settings, err := db.Settings(ctx)
		if err != nil {
			return err
		}
		return printSettings(x.process.Stdout, settings)
	})
	c.AddCommand(v.settingsSet())
	return c
}

func (v *verbs) settingsSet() *cobra.Command {
	c := &cobra.Command{
		Use:   "set KEY VALUE",
		Short: "Change a setting",
		Example: `  regmend settings set max_concurrency 4
  regmend settings set flush_after 10s
  regmend settings set scope ''`,
		Args: takes(2, "a setting and its value"),
	}
	return v.verb(c, database, func(ctx context.Context, x *parts, args []string) error {
		db, err := x.readyDatabase(ctx)
		if err != nil {
			return err
		}
		if args[0] == "repair_enabled" && (args[1] == "true" || args[1] == "false") {
			return x.enableRepair(ctx, args[1] == "true")
		}
		if err := setSetting(ctx, x.process.Stdout, db, args[0], args[1]); err != nil {
			return err
		}
		switch {
		case args[0] == scanEnabled && args[1] != "false":
			fmt.Fprintln(x.process.Stderr, "regmend: warning: nothing was checked before; regmend enable does that")
		case args[0] == "scope":
			return warnOfEmptyScope(ctx, x.process.Stderr, db)
		}
		return nil
	})
}

// warnOfEmptyScope tells of paths in the scope that nothing has: misspelt ones,
// most likely.
func warnOfEmptyScope(ctx context.Context, stderr io.Writer, db *postgres.DB) error {
	state, err := db.State(ctx)
	if err != nil {
		return err
	}
	for _, path := range state.Settings.Scope {
		if err := findNamespace(ctx, db, path); err != nil {
			fmt.Fprintln(stderr, "regmend: warning: "+printable(err.Error()))
		}
	}
	return nil
}

// setSetting changes a setting in the operator's name and says what it was.
func setSetting(ctx context.Context, out io.Writer, db *postgres.DB, key, value string) error {
	old, err := db.Set(ctx, key, value, operator())
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "%s: %s, was %s\n", printable(key), shown(value), shown(old))
	return nil
}

// shown makes an empty value visible.
func shown(value string) string {
	if value == "" {
		return "''"
	}
	return printable(value)
}

func printSettings(out io.Writer, settings []postgres.Setting) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "SETTING\tVALUE\tDEFAULT\tCHANGED\tWHAT IT IS")
	for _, s := range settings {
		fmt.Fprintln(w, strings.Join([]string{s.Key, shown(s.Value), shown(s.Default), changed(s), s.Help}, "\t"))
	}
	return w.Flush()
}

// historyShown is how many changes are worth showing.
const historyShown = 100

func printHistory(ctx context.Context, out io.Writer, db *postgres.DB) error {
	changes, err := db.SettingsHistory(ctx, historyShown)
	for _, c := range changes {
		fmt.Fprintf(out, "%s %s: %s, was %s, by %s\n",
			c.ChangedAt.Local().Format(time.DateTime), c.Key, shown(c.New), shown(c.Old), printable(c.ChangedBy))
	}
	return err
}

func changed(s postgres.Setting) string {
	if s.ChangedAt.IsZero() || s.ChangedBy == "" {
		return "-"
	}
	return s.ChangedAt.Local().Format(time.DateTime) + " by " + printable(s.ChangedBy)
}
