package consumer_test

import (
	"regmend/shared/registry"

	"github.com/redis/go-redis/v9"
	"github.com/sirupsen/logrus"
)

func (w *world) client(url string) *registry.Client {
	w.t.Helper()
	c, err := newRegistry(url, w.deadly, func(path string) { panic("a fault of ours in " + path) })
	if err != nil {
		w.t.Fatal(err)
	}
	return c
}

// newRegistry makes a client that calls die when it has listed the deadly path.
func newRegistry(url, deadly string, die func(path string)) (*registry.Client, error) {
	log := logrus.New()
	log.SetLevel(logrus.DebugLevel)
	log.SetOutput(discard{})
	if deadly != "" {
		log.AddHook(deathHook{at: "/gitlab/v1/repository-paths/" + deadly + "/repositories/list/", die: die})
	}
	return registry.New(registry.Config{URL: url, Log: log})
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
