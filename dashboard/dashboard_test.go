package dashboard_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"

	"regmend/dashboard"
	"regmend/schema"
	"regmend/shared/postgres/postgrestest"
	"regmend/shared/servers"
	"regmend/shared/servers/redistest"

	"github.com/redis/go-redis/v9"
	"github.com/sirupsen/logrus"
	logtest "github.com/sirupsen/logrus/hooks/test"
)

func TestMain(m *testing.M) { os.Exit(postgrestest.Main(m)) }

// site is a dashboard that is served, with what it reads from.
type site struct {
	url    string
	db     *postgrestest.Database
	server *servers.Redis
	rdb    *redis.Client
	log    *logtest.Hook
}

func serve(t *testing.T, cfg dashboard.Config) site {
	t.Helper()
	s := site{db: postgrestest.New(t), server: redistest.Start(t)}
	s.rdb = redistest.Client(t, s.server)
	if cfg.Listen == "" {
		cfg.Listen = "127.0.0.1:9780"
	}
	s.url, s.log = start(t, dashboard.Sources{DB: s.db.DB, Migrations: schema.Migrations, Redis: s.rdb}, cfg)
	return s
}

func start(t *testing.T, src dashboard.Sources, cfg dashboard.Config) (url string, hook *logtest.Hook) {
	t.Helper()
	log, hook := quiet()
	pages, err := dashboard.New(src, log, cfg)
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(pages)
	t.Cleanup(server.Close)
	return server.URL, hook
}

func quiet() (*logrus.Logger, *logtest.Hook) {
	log, hook := logtest.NewNullLogger()
	return log, hook
}

// enabled begins a run and switches scanning on.
func (s site) enabled(t *testing.T) {
	t.Helper()
	s.set(t, "scan_enabled", "true")
	if _, err := s.db.DB.NewRun(t.Context(), "the first one", "a registry", 0); err != nil {
		t.Fatal(err)
	}
}

func (s site) set(t *testing.T, key, value string) {
	t.Helper()
	if _, err := s.db.DB.Set(t.Context(), key, value, "test"); err != nil {
		t.Fatal(err)
	}
}

func (s site) stopRedis(t *testing.T) {
	t.Helper()
	if err := s.server.Stop(); err != nil {
		t.Fatal(err)
	}
}

func (s site) closePostgres(t *testing.T) {
	t.Helper()
	if err := s.db.DB.Close(); err != nil {
		t.Fatal(err)
	}
}

type answer struct {
	status int
	header http.Header
	body   string
}

// ask sends a request as changed by those given.
func ask(t *testing.T, method, url string, change ...func(*http.Request)) answer {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range change {
		c(req)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer{resp.StatusCode, resp.Header, string(body)}
}

func get(t *testing.T, url string, change ...func(*http.Request)) answer {
	t.Helper()
	return ask(t, http.MethodGet, url, change...)
}

func with(name, value string) func(*http.Request) {
	return func(r *http.Request) { r.Header.Set(name, value) }
}

func host(name string) func(*http.Request) { return func(r *http.Request) { r.Host = name } }

func login(username, password string) func(*http.Request) {
	return func(r *http.Request) { r.SetBasicAuth(username, password) }
}

func mustContain(t *testing.T, text string, parts ...string) {
	t.Helper()
	for _, part := range parts {
		if !strings.Contains(text, part) {
			t.Errorf("does not contain %q:\n%s", part, text)
		}
	}
}

func mustNotContain(t *testing.T, text string, parts ...string) {
	t.Helper()
	for _, part := range parts {
		if strings.Contains(text, part) {
			t.Errorf("contains %q:\n%s", part, text)
		}
	}
}
