package cmd

import (
	"context"
	"fmt"
	"io"

	"github.com/sirupsen/logrus"
)

// newLog makes the log of a process. The configuration was checked before.
func newLog(out io.Writer, c *configuration) *logrus.Logger {
	log := logrus.New()
	log.SetOutput(out)
	if level, err := logrus.ParseLevel(c.logLevel); err == nil {
		log.SetLevel(level)
	}
	if c.logFormat == "json" {
		log.SetFormatter(&logrus.JSONFormatter{})
	} else {
		log.SetFormatter(&logrus.TextFormatter{FullTimestamp: true})
	}
	return log
}

// redisLog takes the Redis library's own words, which repeat what callers get
// as errors, to the debug level.
type redisLog struct{ log logrus.FieldLogger }

func (l redisLog) Printf(_ context.Context, format string, values ...any) {
	l.log.WithField("from", "redis").Debug(fmt.Sprintf(format, values...))
}
