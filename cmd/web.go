package cmd

import (
	"context"

	"regmend/dashboard"
	"regmend/schema"

	"github.com/spf13/cobra"
)

func (v *verbs) web() *cobra.Command {
	var allowWrites bool
	c := &cobra.Command{
		Use:   "web",
		Short: "Serve the web pages: overview, queues, metrics",
		Long: `Serve the overview at /, the queues at /queues/, and /metrics, /healthz and /readyz.
The pages only show, unless --allow-writes. Beyond loopback a login is required:
REGMEND_WEB_USERNAME and REGMEND_WEB_PASSWORD.`,
		Example: `  regmend web
  regmend web --listen 127.0.0.1:9000
  REGMEND_WEB_USERNAME=ops REGMEND_WEB_PASSWORD_FILE=/run/secrets/web regmend web --listen 0.0.0.0:9780`,
		Args: takesNothing,
	}
	c.Flags().BoolVar(&allowWrites, "allow-writes", false, "let the pages pause queues, and delete and run tasks")
	return v.verb(c, database|queue|pages, func(ctx context.Context, x *parts, _ []string) error {
		src, err := x.sources()
		if err != nil {
			return err
		}
		cfg := dashboard.Config{
			Listen:      x.config.listen,
			Username:    x.config.webUsername,
			Password:    x.config.webPassword,
			AllowWrites: allowWrites,
			Version:     versionOf(x.process),
		}
		if err := cfg.Validate(); err != nil {
			return misuse{err}
		}
		pages, err := dashboard.New(src, x.log, cfg)
		if err != nil {
			return err
		}
		return dashboard.Serve(ctx, cfg.Listen, pages, x.log)
	})
}

// sources are the database and Redis for those who cope with their absence.
func (x *parts) sources() (dashboard.Sources, error) {
	db, err := x.database()
	if err != nil {
		return dashboard.Sources{}, err
	}
	rdb, err := x.redis()
	return dashboard.Sources{DB: db, Migrations: schema.Migrations, Redis: rdb}, err
}
