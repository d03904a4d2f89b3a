package cmd

import (
	"context"

	"regmend/dashboard"

	"github.com/prometheus/client_golang/prometheus"
)

// serveMetrics serves metrics and health where the configuration says, or
// nowhere: then it waits for ctx to end.
func (x *parts) serveMetrics(src dashboard.Sources, collectors ...prometheus.Collector) runner {
	return func(ctx context.Context) error {
		if x.config.metricsListen == "" {
			<-ctx.Done()
			return nil
		}
		health := dashboard.Health(src.Ready, dashboard.Metrics(collectors...))
		return dashboard.Serve(ctx, x.config.metricsListen, health, x.log)
	}
}
