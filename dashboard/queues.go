package dashboard

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"regexp"
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
	policy, err := queuesPolicy(pages)
	if err != nil {
		return nil, err
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Security-Policy", policy)
		if strings.HasPrefix(r.URL.Path, queuesRoot+"/static/") {
			// A megabyte of scripts whose names change with their content.
			w.Header().Set("Cache-Control", "private, max-age=31536000, immutable")
		}
		pages.ServeHTTP(w, r)
	}), nil
}

// formatResult is tasks.FormatResult for a caller that may not say the type:
// asynqmon's page of a single task does not. Only a flush counts what is written.
func formatResult(taskType string, result []byte) string {
	if taskType == "" {
		taskType = tasks.TypeScan
		var flushed struct{ Written *int }
		if json.Unmarshal(result, &flushed) == nil && flushed.Written != nil {
			taskType = tasks.TypeFlush
		}
	}
	return tasks.FormatResult(taskType, result)
}

var inlineScript = regexp.MustCompile(`(?s)<script>(.*?)</script>`)

// queuesPolicy allows asynqmon's scripts, the inline ones of its page by their
// digests, and the style elements its widgets insert. The web fonts it asks a
// foreign host for stay blocked: a browser then takes its own.
func queuesPolicy(pages http.Handler) (string, error) {
	answer := httptest.NewRecorder()
	pages.ServeHTTP(answer, httptest.NewRequest(http.MethodGet, queuesRoot+"/", nil))
	scripts := []string{"script-src 'self'"}
	for _, script := range inlineScript.FindAllSubmatch(answer.Body.Bytes(), -1) {
		digest := sha256.Sum256(script[1])
		scripts = append(scripts, "'sha256-"+base64.StdEncoding.EncodeToString(digest[:])+"'")
	}
	if answer.Code != http.StatusOK || len(scripts) == 1 {
		return "", errors.New("asynqmon's page is not as expected: no inline scripts in it")
	}
	return strings.Join([]string{
		"default-src 'none'",
		strings.Join(scripts, " "),
		"style-src 'self' 'unsafe-inline'",
		"img-src 'self' data:",
		"font-src 'self' data:",
		"connect-src 'self'",
		"manifest-src 'self'",
		"base-uri 'none'",
		"form-action 'none'",
		"frame-ancestors 'none'",
	}, "; "), nil
}
