package cmd

import (
	"context"
	"fmt"

	"regmend/schema"
	"regmend/shared/postgres"

	"github.com/spf13/cobra"
)

func (v *verbs) migrate() *cobra.Command {
	var plan, noForeignKey bool
	c := &cobra.Command{
		Use:   "migrate",
		Short: "Create or upgrade regmend's schema",
		Long: `Create or upgrade the schema regmend, in the database that holds GitLab's projects.

Nothing of GitLab's is changed, but for one thing: a foreign key from regmend's
results to projects, which takes a short lock on projects. --no-foreign-key leaves
it out; results of deleted projects are then removed by the producer.`,
		Example: `  regmend migrate --plan           the SQL and its locks, changing nothing
  regmend migrate
  regmend migrate --no-foreign-key
  regmend migrate --database-url postgres://regmend@db.example.com/gitlabhq_production`,
		Args: takesNothing,
	}
	c.Flags().BoolVar(&plan, "plan", false, "print what would be done, and its locks, and do nothing")
	c.Flags().BoolVar(&noForeignKey, "no-foreign-key", false, "leave out the foreign key to projects")
	return v.verb(c, database, func(ctx context.Context, x *parts, _ []string) error {
		options := postgres.MigrateOptions{NoForeignKey: noForeignKey, Log: x.log}
		db, err := x.reachedDatabase(ctx)
		if err != nil {
			return err
		}
		if plan {
			return printPlan(ctx, x, db, options)
		}
		if err := db.Migrate(ctx, schema.Migrations, options); err != nil {
			return err
		}
		fmt.Fprintln(x.process.Stdout, "regmend's schema is up to date")
		return nil
	})
}

func printPlan(ctx context.Context, x *parts, db *postgres.DB, o postgres.MigrateOptions) error {
	plan, err := db.MigrationPlan(ctx, schema.Migrations, o)
	if err != nil {
		return err
	}
	fmt.Fprint(x.process.Stdout, plan)
	return nil
}
