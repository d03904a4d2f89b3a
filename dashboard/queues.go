package dashboard

import (
	"encoding/json"
	"net/http"
	"strings"

	"regmend/shared/tasks"

	"github.com/hibiken/asynqmon"
	"github.com/redis/go-redis/v9"
)

const queuesRoot = "/queues"

// clientOpt hands asynqmon a client that exists already. asynqmon would close
// it in its Close, which is never called: the client belongs to somebody else.
type clientOpt struct{ redis.UniversalClient }

// MakeRedisClient implements asynq.RedisConnOpt.
func (o clientOpt) MakeRedisClient() any { return o.UniversalClient }

// newQueuePages is asynqmon with payloads and results in plain words, under the
// strictest content policy it works with.
func newQueuePages(rdb redis.UniversalClient, writes bool) (http.Handler, error) {
	pages := asynqmon.New(asynqmon.Options{
		RootPath:         queuesRoot,
		RedisConnOpt:     clientOpt{rdb},
		PayloadFormatter: asynqmon.PayloadFormatterFunc(tasks.FormatPayload),
		ResultFormatter:  asynqmon.ResultFormatterFunc(formatResult),
		ReadOnly:         !writes,
	})
	page, err := readQueuePage(pages)
	if err != nil {
		return nil, err
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer refuseIllegible(w)
		switch {
		case strings.HasPrefix(r.URL.Path, queuesRoot+"/static/"):
			// A megabyte of scripts whose names change with their content.
			w.Header().Set("Cache-Control", "private, max-age=31536000, immutable")
			pages.ServeHTTP(w, r)
		case strings.HasPrefix(r.URL.Path, queuesRoot+"/api/"):
			pages.ServeHTTP(w, r)
		default:
			page.serve(w, r, pages)
		}
	}), nil
}

// refuseIllegible answers where asynqmon panics: it does where a foreign hand has
// written to the queue's keys.
func refuseIllegible(w http.ResponseWriter) {
	if r := recover(); r != nil {
		http.Error(w, "what Redis holds is not the queue's", http.StatusBadGateway)
	}
}

// formatResult is tasks.FormatResult for a caller that may not say the type:
// asynqmon's page of a single task does not. Only a flush counts what is written,
// only a sweep what it proved, and only a repair what it applied.
func formatResult(taskType string, result []byte) string {
	if taskType != "" {
		return tasks.FormatResult(taskType, result)
	}
	var is struct{ Written, Proven, Applied *int64 }
	known := json.Unmarshal(result, &is) == nil
	switch {
	case known && is.Written != nil:
		taskType = tasks.TypeFlush
	case known && is.Proven != nil:
		taskType = tasks.TypeSweep
	case known && is.Applied != nil:
		taskType = tasks.TypeRepair
	default:
		taskType = tasks.TypeScan
	}
	return tasks.FormatResult(taskType, result)
}
