package dashboard_test

import (
	"io"
	"net"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"regmend/dashboard"
	"regmend/shared/board"
	"regmend/shared/tasks"

	"github.com/hibiken/asynq"
)

// Chromium was seen to run all of asynqmon's pages under this policy without a
// complaint.
func TestNoPageRunsOrLoadsWhatIsNotOurs(t *testing.T) {
	s := serve(t, dashboard.Config{AllowWrites: true})
	nonces := map[string]bool{}
	for _, path := range []string{"/", "/queues/", "/queues/queues/scan", "/queues/queues/scan", "/queues/api/queues", "/metrics", "/nowhere"} {
		page := get(t, s.url+path)
		policy := page.header.Get("Content-Security-Policy")
		mustContain(t, policy, "default-src 'none'", "base-uri 'none'", "form-action 'none'", "frame-ancestors 'none'")
		mustNotContain(t, policy, "unsafe", "*", "http:", "https:", "blob:")
		mustNotContain(t, page.body, `href="http`, `src="http`, `="//`)
		nonce := regexp.MustCompile(`'nonce-([A-Z0-9]{20,})'`).FindStringSubmatch(policy)
		if strings.HasPrefix(path, "/queues/queues") || path == "/queues/" {
			if nonce == nil || nonces[nonce[1]] {
				t.Fatalf("%s: no nonce of its own in %s", path, policy)
			}
			nonces[nonce[1]] = true
			mustContain(t, page.body, `<meta property="csp-nonce" content="`+nonce[1]+`">`)
			continue
		}
		mustNotContain(t, policy, "script-src", "connect-src", "nonce")
	}
}

func TestNobodyElsesPageReadsOrFramesOurs(t *testing.T) {
	s := serve(t, dashboard.Config{})
	for _, path := range []string{"/", "/queues/", "/queues/api/queues", "/metrics", "/healthz", "/readyz"} {
		got := get(t, s.url+path, with("Origin", "https://evil.example"), with("Sec-Fetch-Site", "cross-site"))
		for header, want := range map[string]string{
			"Access-Control-Allow-Origin": "", "Cross-Origin-Resource-Policy": "same-origin",
			"Cross-Origin-Opener-Policy": "same-origin", "X-Frame-Options": "DENY", "X-Content-Type-Options": "nosniff",
		} {
			if value := got.header.Get(header); value != want {
				t.Errorf("%s: %s = %q, want %q", path, header, value, want)
			}
		}
	}
}

// Whoever writes to Redis chooses task types, IDs, payloads and process names.
func TestWhatIsForgedInRedisIsTextOnThePages(t *testing.T) {
	const evil = `<script>alert(1)</script>`
	s := serve(t, dashboard.Config{})
	s.enabled(t)
	enqueue(t, s.rdb, asynq.NewTask(evil, []byte(evil), asynq.Queue(tasks.QueueScan), asynq.TaskID(evil)))
	hold := board.Hold{Kind: board.HoldRegistry, Reason: evil, By: evil, Since: time.Now()}
	if err := board.New(s.rdb).SetHold(t.Context(), hold, time.Minute); err != nil {
		t.Fatal(err)
	}
	later := float64(time.Now().Add(time.Hour).UnixMilli())
	s.rdb.Do(t.Context(), "ZADD", "regmend:processes", later, evil)
	s.rdb.HSet(t.Context(), "regmend:processes:info", evil, `{"kind":"`+evil+`"}`)

	page := get(t, s.url+"/")
	mustNotContain(t, page.body, "<script")
	if n := strings.Count(page.body, "&lt;script&gt;alert(1)&lt;/script&gt;"); n < 3 {
		t.Errorf("%d of 3 texts are shown:\n%s", n, page.body)
	}
	for _, path := range []string{"/queues/api/queues/scan/pending_tasks", "/metrics"} {
		if got := get(t, s.url+path); strings.Contains(got.header.Get("Content-Type"), "html") {
			t.Errorf("%s is %s", path, got.header.Get("Content-Type"))
		}
	}
}

// Redis may say anything; the pages say what they can.
func TestPagesOutliveWhatIsIllegibleInRedis(t *testing.T) {
	s := serve(t, dashboard.Config{})
	s.enabled(t)
	s.note(t)
	enqueue(t, s.rdb, scan(t))
	s.rdb.Set(t.Context(), "asynq:{scan}:processed", "x", 0) // asynq panics at it
	if got := get(t, s.url+"/queues/api/queues"); got.status != http.StatusBadGateway {
		t.Errorf("queues = %d", got.status)
	}
	for _, key := range s.rdb.Keys(t.Context(), "*").Val() {
		s.rdb.Del(t.Context(), key)
		s.rdb.Set(t.Context(), key, "\x1b[31m{", 0)
	}
	if got := get(t, s.url+"/"); got.status != http.StatusOK {
		t.Errorf("overview = %d", got.status)
	}
	mustContain(t, get(t, s.url+"/metrics").body, `regmend_part_up{part="redis"} 0`)
	get(t, s.url+"/queues/api/queues")
	if got := get(t, s.url+"/healthz"); got.status != http.StatusOK {
		t.Errorf("healthz = %d", got.status)
	}
}

func TestAClientThatNeverEndsItsHeaderIsCutOff(t *testing.T) {
	ctx := t.Context()
	address, _ := begin(t, ctx, http.NotFoundHandler())
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := io.WriteString(conn, "GET / HTTP/1.1\r\nX: "); err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	if err := conn.SetReadDeadline(began.Add(30 * time.Second)); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadAll(conn); err != nil || time.Since(began) > 12*time.Second {
		t.Errorf("after %s: %v", time.Since(began), err)
	}
}

func TestALargeRequestIsRefused(t *testing.T) {
	s := serve(t, dashboard.Config{AllowWrites: true})
	enqueue(t, s.rdb, scan(t))
	got := ask(t, http.MethodPost, s.url+"/queues/api/queues/scan/pending_tasks:batch_delete", func(r *http.Request) {
		r.Body = io.NopCloser(strings.NewReader(`{"task_ids":["` + strings.Repeat("x", 2<<20) + `"]}`))
	})
	if got.status < 400 || got.status >= 500 {
		t.Errorf("status = %d %s", got.status, got.body)
	}
}
