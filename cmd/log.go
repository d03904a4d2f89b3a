package cmd

import (
	"context"
	"fmt"
	"strings"
	"unicode"

	"github.com/sirupsen/logrus"
)

// newLog makes the log of a process. The configuration was checked before.
// On a terminal it has colours, unless NO_COLOR is set.
func newLog(p Process, c *configuration) *logrus.Logger {
	log := logrus.New()
	log.SetOutput(p.Stderr)
	log.AddHook(plainEntries{})
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

// plainEntries keeps entries from steering a terminal: a library's message may
// repeat what Redis said, an error what the registry did.
type plainEntries struct{}

// Levels implements logrus.Hook.
func (plainEntries) Levels() []logrus.Level { return logrus.AllLevels }

// Fire implements logrus.Hook.
func (plainEntries) Fire(e *logrus.Entry) error {
	e.Message = printable(strings.TrimSpace(e.Message))
	for key, value := range e.Data {
		switch value := value.(type) {
		case string:
			e.Data[key] = plainField(value)
		case error:
			e.Data[key] = plainField(value.Error())
		}
	}
	return nil
}

// plainField leaves ASCII's control characters to the formatters, which all
// escape those and only some the others.
func plainField(text string) string {
	return strings.Map(func(r rune) rune {
		if r > unicode.MaxASCII && !unicode.IsPrint(r) {
			return unicode.ReplacementChar
		}
		return r
	}, text)
}

// redisLog takes the Redis library's own words, which repeat what callers get
// as errors, to the debug level.
type redisLog struct{ log logrus.FieldLogger }

func (l redisLog) Printf(_ context.Context, format string, values ...any) {
	l.log.WithField("from", "redis").Debug(fmt.Sprintf(format, values...))
}
