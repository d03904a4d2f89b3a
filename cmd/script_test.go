package cmd_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"regmend/shared/gitlab"
	"regmend/shared/postgres/postgrestest"
	"regmend/shared/registry/registrytest"
	"regmend/shared/servers"
	"regmend/shared/servers/proxy"
	"regmend/shared/servers/redistest"

	"github.com/redis/go-redis/v9"
	"github.com/rogpeppe/go-internal/testscript"
)

// TestScripts runs testdata/*.txtar. Beside testscript's own commands they have
// those of world.
func TestScripts(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatalf("no scripts: %v", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txtar"), func(t *testing.T) {
			t.Parallel()
			w := &world{t: t}
			testscript.Run(t, testscript.Params{
				Files:               []string{file},
				Cmds:                w.commands(),
				RequireExplicitExec: true,
				RequireUniqueNames:  true,
			})
		})
	}
}

// world is what surrounds one script.
type world struct {
	t        *testing.T
	db       *postgrestest.Database
	redis    *servers.Redis
	client   *redis.Client
	registry *registrytest.Server
	door     *proxy.Proxy
}

type command = func(ts *testscript.TestScript, neg bool, args []string)

func (w *world) commands() map[string]command {
	return map[string]command{
		// exits CODE PROGRAM ARGS...: it ends with that exit code.
		"exits": exits,
		// database [empty]: a database of its own in REGMEND_DATABASE_URL;
		// empty: without regmend's schema.
		"database": w.database,
		// redis [ARGS...]: a Redis of its own in REGMEND_REDIS_URL.
		"redis": w.startRedis,
		// registry: one in REGMEND_REGISTRY_URL.
		"registry": w.startRegistry,
		// project PATH [NAME...]: a project, with container repositories that
		// database and registry know; its ID in the variable ID.
		"project": w.project,
		// push PATH: a repository the registry alone knows.
		"push": w.push,
		// run: begins a run.
		"run": w.run,
		// result PATH completed|failed [NAME...]|REASON: a project's result.
		"result": w.result,
		// sql STATEMENT; value QUERY WANT.
		"sql":   w.sql,
		"value": w.value,
		// await QUERY WANT: until the value is that.
		"await": w.await,
		// rediscli COMMAND ARGS...
		"rediscli": w.rediscli,
		// refusing N: REGMEND_DATABASE_URL leads to a door that is slammed N
		// times before it opens to the database.
		"refusing": w.refusing,
		// refused: waits until it was.
		"refused": w.refused,
		// port NAME: an address that is free, in the variable NAME.
		"port": port,
		// fetch URL: waits for it to be served, with 200, and prints it.
		"fetch": w.fetch,
		// hours N: active hours that begin in N hours, in the variable HOURS.
		"hours": hours,
		// away postgres|redis|registry: nobody listens there.
		"away": w.away,
	}
}

func exits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits CODE PROGRAM ARGS...")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	err = ts.Exec(args[1], args[2:]...)
	var exit interface{ ExitCode() int }
	code := 0
	switch {
	case errors.As(err, &exit):
		code = exit.ExitCode()
	case err != nil:
		ts.Fatalf("%v", err)
	}
	if code != want {
		ts.Fatalf("exit code %d, want %d", code, want)
	}
}

func (w *world) database(ts *testscript.TestScript, _ bool, args []string) {
	if len(args) > 0 {
		w.db = postgrestest.Empty(w.t)
	} else {
		w.db = postgrestest.New(w.t)
	}
	ts.Setenv("REGMEND_DATABASE_URL", w.db.URL)
}

func (w *world) startRedis(ts *testscript.TestScript, _ bool, args []string) {
	w.redis = redistest.Start(w.t, args...)
	w.client = redistest.Client(w.t, w.redis)
	ts.Setenv("REGMEND_REDIS_URL", w.redis.URL)
}

func (w *world) startRegistry(ts *testscript.TestScript, _ bool, _ []string) {
	w.registry = registrytest.NewServer(w.t, registrytest.Options{})
	ts.Setenv("REGMEND_REGISTRY_URL", w.registry.URL)
}

func (w *world) project(ts *testscript.TestScript, _ bool, args []string) {
	p := gitlab.Project{FullPath: args[0]}
	p.ID = w.db.Project(w.t, p.FullPath)
	for _, name := range args[1:] {
		w.db.Repository(w.t, p.ID, name)
		w.registry.Push(p.RepositoryPath(name), "v1")
	}
	ts.Setenv("ID", strconv.FormatInt(p.ID, 10))
}

func (w *world) push(_ *testscript.TestScript, _ bool, args []string) {
	w.registry.Push(args[0], "v1")
}

func (w *world) run(*testscript.TestScript, bool, []string) { w.db.Run(w.t) }

func (w *world) result(ts *testscript.TestScript, _ bool, args []string) {
	ctx := w.t.Context()
	state, err := w.db.DB.State(ctx)
	ts.Check(err)
	id, err := strconv.ParseInt(w.db.Value(w.t, `SELECT source_id FROM routes WHERE source_type = 'Project' AND path = $1`, args[0]), 10, 64)
	ts.Check(err)
	scan, err := strconv.ParseInt(w.db.Value(w.t, `SELECT nextval('regmend.scan_number')`), 10, 64)
	ts.Check(err)
	r := gitlab.Result{Run: state.Run.ID, Scan: scan, Project: gitlab.Project{ID: id, FullPath: args[0]}, Status: gitlab.Status(args[1])}
	if r.Status == gitlab.Failed {
		r.Error = args[2]
	} else {
		r.Missing = args[2:]
		r.Evidence = gitlab.Evidence{Method: "gitlab", Pages: 1, Listed: len(r.Missing) + 3}
	}
	_, err = w.db.DB.Write(ctx, state.Run, []gitlab.Result{r})
	ts.Check(err)
}

func (w *world) sql(_ *testscript.TestScript, _ bool, args []string) { w.db.Exec(w.t, args[0]) }

func (w *world) value(ts *testscript.TestScript, neg bool, args []string) {
	if got := w.db.Value(w.t, args[0]); (got == args[1]) == neg {
		ts.Fatalf("%s\nis %q, want %q", args[0], got, args[1])
	}
}

func (w *world) await(ts *testscript.TestScript, _ bool, args []string) {
	deadline := time.Now().Add(30 * time.Second)
	for w.db.Value(w.t, args[0]) != args[1] {
		if time.Now().After(deadline) {
			ts.Fatalf("%s\nis %q after 30 s, want %q", args[0], w.db.Value(w.t, args[0]), args[1])
		}
		time.Sleep(20 * time.Millisecond)
	}
}

func (w *world) rediscli(ts *testscript.TestScript, _ bool, args []string) {
	var words []any
	for _, arg := range args {
		words = append(words, arg)
	}
	answer, err := w.client.Do(context.Background(), words...).Result()
	ts.Check(err)
	var out bytes.Buffer
	fmt.Fprintln(&out, answer)
	_, err = ts.Stdout().Write(out.Bytes())
	ts.Check(err)
}

func hours(ts *testscript.TestScript, _ bool, args []string) {
	n, err := strconv.Atoi(args[0])
	ts.Check(err)
	begin := time.Now().UTC().Add(time.Duration(n) * time.Hour)
	ts.Setenv("HOURS", begin.Format("15:04")+"-"+begin.Add(time.Hour).Format("15:04")+" UTC")
}

func port(ts *testscript.TestScript, _ bool, args []string) {
	free, err := servers.FreePort()
	ts.Check(err)
	ts.Setenv(args[0], fmt.Sprint("127.0.0.1:", free))
}

func (w *world) fetch(ts *testscript.TestScript, _ bool, args []string) {
	deadline := time.Now().Add(10 * time.Second)
	for {
		body, err := get(w.t.Context(), args[0])
		if err == nil {
			_, err = ts.Stdout().Write(body)
			ts.Check(err)
			return
		}
		if time.Now().After(deadline) {
			ts.Fatalf("%v", err)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

func get(ctx context.Context, url string) ([]byte, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return nil, err
	}
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(response.Body)
	if err == nil && response.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %s: %s", url, response.Status, body)
	}
	return body, err
}

func (w *world) refusing(ts *testscript.TestScript, _ bool, args []string) {
	times, err := strconv.Atoi(args[0])
	ts.Check(err)
	u, err := url.Parse(w.db.URL)
	ts.Check(err)
	w.door, err = proxy.Start(u.Host)
	ts.Check(err)
	w.t.Cleanup(func() { _ = w.door.Close() })
	w.door.LoseRequest("", times)
	u.Host = w.door.Addr()
	ts.Setenv("REGMEND_DATABASE_URL", u.String())
}

func (w *world) refused(*testscript.TestScript, bool, []string) {
	for w.door.Lost() == 0 {
		time.Sleep(time.Millisecond)
	}
}

func (w *world) away(ts *testscript.TestScript, _ bool, args []string) {
	ts.Setenv(map[string]string{
		"postgres": "REGMEND_DATABASE_URL",
		"redis":    "REGMEND_REDIS_URL",
		"registry": "REGMEND_REGISTRY_URL",
	}[args[0]], map[string]string{
		"postgres": "postgres://nobody:s3cret@127.0.0.1:1/nothing?sslmode=disable",
		"redis":    "redis://nobody:s3cret@127.0.0.1:1/0",
		"registry": "http://127.0.0.1:1",
	}[args[0]])
}
