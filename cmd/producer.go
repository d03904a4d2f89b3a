package cmd

import (
	"context"
	"errors"
	"time"

	"regmend/producer"
	"regmend/shared/postgres"
	"regmend/shared/registry"

	"github.com/spf13/cobra"
)

func (v *verbs) producer() *cobra.Command {
	var interval time.Duration
	c := &cobra.Command{
		Use:   "producer",
		Short: "Enqueue the projects that are to be scanned, periodically",
		Long: `Enqueue the projects without a result in the current run, a few minutes of work
at a time, until told to stop. Several may run: one leads, the others wait.
Nothing is scanned before regmend enable.`,
		Example: `  regmend producer
  regmend producer --interval 30s --metrics-listen 127.0.0.1:9781`,
		Args: takesNothing,
	}
	c.Flags().DurationVar(&interval, "interval", time.Minute, "how often to look for work")
	return v.verb(c, database|queue|registryHost|metrics, func(ctx context.Context, x *parts, _ []string) error {
		if interval <= 0 {
			return misuse{errors.New("--interval must be above zero, such as 1m")}
		}
		return x.produce(ctx, producer.Config{Interval: interval, Process: processName(), Info: x.introduce("producer")})
	})
}

func (x *parts) produce(ctx context.Context, cfg producer.Config) error {
	src, err := x.sources()
	if err != nil {
		return err
	}
	reg, err := x.registry(nil)
	if err != nil {
		return err
	}
	log := x.log.WithField("process", cfg.Process)
	watch := postgres.NewWatch(src.DB, log)
	p := producer.New(src.DB, watch, src.Redis, identityOf(reg), log, cfg)
	return alongside(ctx, watched(src, watch, log, p.Run), x.serveMetrics(src, p.Collectors()...))
}

// identityOf asks the registry what it is.
func identityOf(reg *registry.Client) func(context.Context) (string, error) {
	return func(ctx context.Context) (string, error) {
		capabilities, err := reg.Probe(ctx)
		return capabilities.Identity, err
	}
}
