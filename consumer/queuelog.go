package consumer

import (
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/sirupsen/logrus"
)

// sameAgain is how long the queue does not repeat a complaint.
const sameAgain = time.Minute

// queueLog is asynq's logger. While Redis is away asynq complains several times
// a second; each kind of complaint is logged once a minute, the others only at
// the level debug. That Redis is away is said elsewhere.
type queueLog struct {
	logrus.FieldLogger

	mu   sync.Mutex
	last map[string]time.Time // by the kind of complaint
}

func newQueueLog(log logrus.FieldLogger) *queueLog {
	return &queueLog{FieldLogger: log, last: make(map[string]time.Time)}
}

// Warn logs a complaint that is not repeated.
func (l *queueLog) Warn(args ...any) { l.complain(args...) }

// Error logs a complaint that is not repeated: asynq tries again by itself
// after all of them.
func (l *queueLog) Error(args ...any) { l.complain(args...) }

func (l *queueLog) complain(args ...any) {
	text := fmt.Sprint(args...)
	kind, _, _ := strings.Cut(text, ":") // before what is different each time
	l.mu.Lock()
	again := time.Since(l.last[kind]) < sameAgain
	if !again {
		l.last[kind] = time.Now()
	}
	l.mu.Unlock()
	if again {
		l.Debug(text)
		return
	}
	l.FieldLogger.Warn(text)
}
