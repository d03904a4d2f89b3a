package cmd

import (
	"context"
	"fmt"

	"github.com/sirupsen/logrus"
)

// newLog makes the log of a process. The configuration was checked before.
// On a terminal it has colours, unless NO_COLOR is set.
func newLog(p Process, c *configuration) *logrus.Logger {
	log := logrus.New()
	log.SetOutput(p.Stderr)
	if level, err := logrus.ParseLevel(c.logLevel); err == nil {
		log.SetLevel(level)
	}
	if c.logFormat == "json" {
		log.SetFormatter(&logrus.JSONFormatter{})
	} else {
		_, plain := environment(p.Environ)["NO_COLOR"]
		log.SetFormatter(&logrus.TextFormatter{FullTimestamp: true, DisableColors: plain})
	}
	return log
}

// redisLog takes the Redis library's own words, which repeat what callers get
// as errors, to the debug level.
type redisLog struct{ log logrus.FieldLogger }

func (l redisLog) Printf(_ context.Context, format string, values ...any) {
	l.log.WithField("from", "redis").Debug(fmt.Sprintf(format, values...))
}
