package cmd

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"

	"regmend/consumer"
	"regmend/shared/jwtauth"
	"regmend/shared/postgres"
	"regmend/shared/registry"
	"regmend/shared/slots"

	"github.com/spf13/cobra"
)

func (v *verbs) consumer() *cobra.Command {
	var workers int
	c := &cobra.Command{
		Use:   "consumer",
		Short: "Scan projects and write the results",
		Long: `Take batches of projects from the queue, list their repositories in the registry,
and write what is missing, until told to stop. Start as many as you like: together
they never run more scans at once than the setting max_concurrency allows.`,
		Example: `  regmend consumer
  regmend consumer --workers 32 --metrics-listen 127.0.0.1:9782`,
		Args: takesNothing,
	}
	c.Flags().IntVar(&workers, "workers", 16, "how many batches it may hold at once, most of them waiting for a slot")
	return v.verb(c, database|queue|registryHost|gitlabHost|metrics, func(ctx context.Context, x *parts, _ []string) error {
		if workers < 1 {
			return misuse{errors.New("--workers must be 1 or more")}
		}
		x.collectLess()
		return x.consume(ctx, consumer.Config{Workers: workers, Process: processName(), Info: x.introduce("consumer")})
	})
}

// gcPercent makes the garbage collector run less often than it would by itself:
// a consumer makes much garbage and holds few megabytes.
const gcPercent = 300

// memoryLimit makes it run more often again where much is held, as of a project of
// very many repositories.
const memoryLimit = 40 << 20

// collectLess leaves alone what the environment says.
func (x *parts) collectLess() {
	if _, told := environment(x.process.Environ)["GOGC"]; !told {
		debug.SetGCPercent(gcPercent)
	}
	if _, told := environment(x.process.Environ)["GOMEMLIMIT"]; !told {
		debug.SetMemoryLimit(memoryLimit)
	}
}

func (x *parts) consume(ctx context.Context, cfg consumer.Config) error {
	src, err := x.sources()
	if err != nil {
		return err
	}
	log := x.log.WithField("process", cfg.Process)
	watch := postgres.NewWatch(src.DB, log)
	cfg.Metrics, cfg.Slots.Budget = consumer.NewMetrics(), slots.NewBudget()
	reg, err := x.registry(func(c *registry.Config) {
		c.PageSize = func() int { return pageSize(watch) }
		c.Admit, c.Observe = cfg.Slots.Budget.Spend, cfg.Metrics.Answer
	})
	if err != nil {
		return err
	}
	if err := x.gitlab(&cfg); err != nil {
		return err
	}
	own := consumer.New(src.DB, watch, src.Redis, reg, log, cfg)
	return alongside(ctx, watched(src, watch, log, own.Run), x.serveMetrics(src, own.Collectors()...))
}

// gitlab gives the consumer its way to GitLab's token endpoint, if it was told one.
func (x *parts) gitlab(cfg *consumer.Config) error {
	c := x.config
	if c.gitlabURL == "" && c.gitlabUsername == "" && c.gitlabPassword == "" {
		return nil
	}
	client, err := jwtauth.New(jwtauth.Config{URL: c.gitlabURL, Username: c.gitlabUsername, Password: c.gitlabPassword})
	if err != nil {
		return misuse{fmt.Errorf("REGMEND_GITLAB_…: %w", err)}
	}
	x.closers = append(x.closers, func() error { client.Close(); return nil })
	cfg.GitLab = client
	return nil
}

// pageSize is the setting; while nothing is known, its default.
func pageSize(watch *postgres.Watch) int {
	state, err := watch.Now()
	if err != nil {
		return 1000
	}
	return state.Settings.PageSize
}
