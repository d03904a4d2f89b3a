package consumer_test

import (
	"regmend/consumer"
	"regmend/shared/registry"
	"regmend/shared/slots"

	"github.com/redis/go-redis/v9"
	"github.com/sirupsen/logrus"
)

func (w *world) client(url string, edits ...func(*registry.Config)) *registry.Client {
	w.t.Helper()
	c, err := newRegistry(url, w.deadly, func(path string) { panic("a fault of ours in " + path) }, edits...)
	if err != nil {
		w.t.Fatal(err)
	}
	return c
}

// newRegistry makes a client that calls die when it has listed the deadly path.
func newRegistry(url, deadly string, die func(path string), edits ...func(*registry.Config)) (*registry.Client, error) {
	log := logrus.New()
	log.SetLevel(logrus.DebugLevel)
	log.SetOutput(discard{})
	if deadly != "" {
		log.AddHook(deathHook{at: "/gitlab/v1/repository-paths/" + deadly + "/repositories/list/", die: die})
	}
	cfg := registry.Config{URL: url, Log: log}
	for _, edit := range edits {
		edit(&cfg)
	}
	return registry.New(cfg)
}

// wired is how a consumer of this configuration asks the registry, as the command
// line does it.
func wired(cfg *consumer.Config) func(*registry.Config) {
	cfg.Metrics, cfg.Slots.Budget = consumer.NewMetrics(), slots.NewBudget()
	return func(c *registry.Config) { c.Admit, c.Observe = cfg.Slots.Budget.Spend, cfg.Metrics.Answer }
}

type discard struct{}

func (discard) Write(p []byte) (int, error) { return len(p), nil }

// deathHook waits for the line that a client logs for each page.
type deathHook struct {
	at  string
	die func(path string)
}

func (deathHook) Levels() []logrus.Level { return []logrus.Level{logrus.DebugLevel} }

func (h deathHook) Fire(entry *logrus.Entry) error {
	if entry.Data["path"] == h.at {
		h.die(h.at)
	}
	return nil
}

// newRedis makes a client like the command line's.
func newRedis(url string) (*redis.Client, error) {
	options, err := redis.ParseURL(url)
	if err != nil {
		return nil, err
	}
	options.ContextTimeoutEnabled = true
	options.DialerRetries = 1
	return redis.NewClient(options), nil
}
