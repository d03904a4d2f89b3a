package main_test

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"regmend/shared/gitlab/gitlabtest"
	"regmend/shared/registry/registrytest"
	"regmend/shared/servers/redistest"

	"github.com/hibiken/asynq"
	"github.com/redis/go-redis/v9"
)

// P16. What processes print is looked at after every other test as well.
func TestP16_SecretsAreNowhereToBeSeen(t *testing.T) {
	for name, opts := range map[string]registrytest.Options{
		"signing key": {Latency: 5 * time.Millisecond},
		"password":    {Latency: 5 * time.Millisecond, Mode: registrytest.Distribution},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			in := newInstallation(t, opts)
			world := gitlabtest.Generate(12, 400)
			in.fill(world)
			in.lookForSecretsWhileItWorks(world)
			in.runVerbs(world.Projects[0].FullPath)
			in.runWithFaults()
		})
	}
}

// spoil lets the registry fail whenever it is asked for one in twenty projects.
func (in *installation) spoil(projects []gitlabtest.Project) {
	fault := registrytest.Status(http.StatusInternalServerError, "UNKNOWN")
	for i, p := range projects {
		if i%20 != 0 {
			continue
		}
		path := strings.ToLower(p.FullPath)
		in.registry.Fail(registrytest.Where{Kind: registrytest.List, Repository: path}, fault)
		for _, r := range p.Repositories {
			in.registry.Fail(registrytest.Where{Kind: registrytest.Tags, Repository: strings.TrimSuffix(path+"/"+r.Name, "/")}, fault)
		}
	}
}

// lookForSecretsWhileItWorks analyses every project, with things going wrong
// meanwhile, so that they are told of, too.
func (in *installation) lookForSecretsWhileItWorks(world gitlabtest.World) {
	in.t.Helper()
	in.env["REGMEND_LOG_LEVEL"] = "debug"
	in.migrate("batch_size", "20", "flush_after", "1s")
	in.env["REGMEND_WEB_USERNAME"] = "operator"
	in.env["REGMEND_WEB_PASSWORD"] = in.secret("web password")
	login := "operator:" + in.env["REGMEND_WEB_PASSWORD"]
	in.secrets["web login as it is sent"] = base64.StdEncoding.EncodeToString([]byte(login))
	web := in.start("web", "--listen", in.freeAddress())
	others := in.begin(2)
	in.spoil(world.Projects)
	others = append(others, in.start("producer", "--metrics-listen", in.freeAddress()))
	in.giveUpATask()
	look := func() {
		in.checkSecrets(in.stored())
		in.checkSecrets(in.pages(web, others...))
	}
	for _, share := range []int64{10, 4, 2} {
		in.await("a part is analysed", time.Minute, func(s status) bool { return s.Completed >= s.Eligible/share })
		in.registry.Revoke()
		look()
	}
	in.await("every project is analysed", 2*time.Minute, status.analysed)
	look()
	if n := in.Value(in.t, `SELECT count(*) FROM regmend.data_repair_details WHERE error LIKE 'registry %500%'`); n == "0" {
		in.t.Error("the registry failed nowhere, so no reason of its was looked at")
	}
}

// giveUpATask leaves one among the archived, one that waits for its time, and
// one to be tried again.
func (in *installation) giveUpATask() {
	in.t.Helper()
	client := asynq.NewClientFromRedisClient(in.redisClient())
	for _, task := range []struct {
		payload string
		option  asynq.Option
	}{{"{", asynq.MaxRetry(0)}, {"{}", asynq.MaxRetry(0)}, {"{", asynq.ProcessIn(time.Hour)}} {
		if _, err := client.Enqueue(asynq.NewTask("scan", []byte(task.payload)), asynq.Queue("adhoc"), task.option); err != nil {
			in.t.Fatal(err)
		}
	}
}

// runVerbs runs what shows something. It is looked at when the test ends.
func (in *installation) runVerbs(project string) {
	in.t.Helper()
	for _, verb := range []string{
		"status", "status --json", "report", "report --format csv", "report --format json", "report --failed", "show " + project,
		"run", "settings", "settings --history", "enqueue --failed", "migrate --plan", "help environment",
	} {
		in.run(strings.Fields(verb)...)
	}
	in.try("doctor") // which has its opinion of the tests' Redis
}

// A secret is seen wherever one is put, or the tests that look for secrets
// would say nothing.
func TestASecretThatIsThereIsSeen(t *testing.T) {
	t.Parallel()
	in := newInstallation(t, registrytest.Options{})
	id := in.Project(t, "group/app")
	in.migrate()
	in.run("run", "new", "--reason", "test")
	secret, client, ctx := in.secret("planted"), in.redisClient(), t.Context()
	in.Exec(t, `INSERT INTO regmend.data_repair_details (project_id, missing_count, status, updated_at, run_id, scan_number, attempts, next_attempt_at, error, failure_scan_number)
		VALUES ($1, 0, 'failed', now(), 1, 1, 1, now(), $2, 1)`, id, "500: "+secret)
	for _, err := range []error{
		client.Set(ctx, "a string", secret, 0).Err(), client.HSet(ctx, "a hash", "field", secret).Err(),
		client.HSet(ctx, "a field", secret, 1).Err(), client.RPush(ctx, "a list", secret).Err(),
		client.SAdd(ctx, "a set", secret).Err(), client.ZAdd(ctx, "a zset", redis.Z{Member: secret}).Err(),
		client.Set(ctx, secret, "a key", 0).Err(),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	task := asynq.NewTask("scan", []byte(secret), asynq.Queue("adhoc"), asynq.TaskID("a payload"))
	if _, err := asynq.NewClientFromRedisClient(client).Enqueue(task); err != nil {
		t.Fatal(err)
	}
	seen := strings.Join(in.leaks(in.stored()), "\n")
	for _, where := range []string{
		"the schema", "key a string", "key a hash", "key a field", "key a list", "key a set", "key a zset", "key " + secret, "a payload",
	} {
		if !strings.Contains(seen, where) {
			t.Errorf("not seen in %s:\n%s", where, seen)
		}
	}
	if got := in.leaks(map[string]string{"a log": "level=info msg=" + secret}); len(got) != 1 {
		t.Errorf("seen in a log: %v", got)
	}
}

// stored is everything that Redis and regmend's schema hold.
func (in *installation) stored() map[string]string {
	in.t.Helper()
	texts := map[string]string{
		"the schema": in.postgres("pg_dump", "--schema=regmend", in.URL),
	}
	stored, err := redistest.Texts(in.t.Context(), in.redisClient())
	for key, value := range stored {
		texts["the Redis key "+key] = key + "\n" + value
	}
	if err != nil || len(texts) < 5 {
		in.t.Fatalf("%d texts from Redis and Postgres: %v", len(texts), err)
	}
	return texts
}

// pages is what is served on HTTP.
func (in *installation) pages(web *process, others ...*process) map[string]string {
	in.t.Helper()
	texts := map[string]string{}
	read := func(p *process, path string) {
		status, body := in.get(p, path)
		if status != http.StatusOK {
			in.t.Errorf("%s%s: status %d\n%s", p.name, path, status, body)
		}
		texts[p.name+path] = body
	}
	for _, path := range []string{
		"/", "/healthz", "/readyz", "/metrics", "/queues/", "/queues/api/queues", "/queues/api/servers",
		"/queues/api/redis_info", "/queues/api/scheduler_entries", "/queues/api/queue_stats",
	} {
		read(web, path)
	}
	for _, queue := range []string{"scan", "adhoc", "flush"} {
		if status, _ := in.get(web, "/queues/api/queues/"+queue); status == http.StatusNotFound {
			continue // nothing was enqueued there yet
		}
		for _, state := range []string{"active", "pending", "scheduled", "retry", "archived", "completed"} {
			read(web, "/queues/api/queues/"+queue+"/"+state+"_tasks")
		}
	}
	for _, p := range others {
		for _, path := range []string{"/healthz", "/readyz", "/metrics"} {
			read(p, path)
		}
	}
	return texts
}

// runWithFaults runs verbs with an environment that is wrong, each fault beside
// a secret. What they print is looked at when the test ends.
func (in *installation) runWithFaults() {
	in.t.Helper()
	nobody := in.freeAddress()
	faults := map[string]string{
		"REGMEND_DATABASE_URL":            "postgres://regmend:" + in.secret("password") + "@" + nobody + "/gitlab?sslmode=disable",
		"REGMEND_REDIS_URL":               "redis://:" + in.secret("password") + "@" + nobody + "/0",
		"REGMEND_REGISTRY_URL":            "http://" + nobody,
		"REGMEND_REGISTRY_TOKEN_KEY_FILE": in.file("broken.pem", []byte("-----BEGIN PRIVATE KEY-----\n"+in.secret("broken key")+"\n-----END PRIVATE KEY-----\n")),
	}
	malformed := map[string]string{
		"REGMEND_DATABASE_URL": "postgres://regmend:" + in.secret("password") + "%zz@" + nobody + "/gitlab",
		"REGMEND_REDIS_URL":    "redis://:" + in.secret("password") + "@@:x:" + nobody,
		"REGMEND_REGISTRY_URL": "http://user:" + in.secret("password") + "@" + nobody,
	}
	right := maps.Clone(in.env)
	for _, wrong := range []map[string]string{faults, malformed} {
		for name, value := range wrong {
			in.env = maps.Clone(right)
			in.env[name] = value
			for _, verb := range []string{"doctor", "status", "enable"} {
				fine := verb == "status" && strings.Contains(name, "REGISTRY") // which it does not need
				if _, stderr, code := in.try(verb); (code == 0) != fine {
					in.t.Errorf("%s with a wrong %s: exit code %d\n%s", verb, name, code, stderr)
				}
			}
		}
	}
	in.env = right
}

// keepSecretPEM takes each line of a PEM file's content for a secret.
func (in *installation) keepSecretPEM(what string, text []byte) {
	for i, line := range bytes.Split(bytes.TrimSpace(text), []byte("\n")) {
		if !bytes.HasPrefix(line, []byte("-----")) {
			in.secrets[fmt.Sprintf("%s, line %d", what, i)] = string(line)
		}
	}
}

// checkSecrets complains of texts, by where they are, in which a secret or a
// token is.
func (in *installation) checkSecrets(texts map[string]string) {
	in.t.Helper()
	for _, leak := range in.leaks(texts) {
		in.t.Error(leak)
	}
}

// leaks are the places where a secret or a token is.
func (in *installation) leaks(texts map[string]string) (leaks []string) {
	secrets := maps.Clone(in.secrets)
	for i, token := range in.tokens() {
		secrets[fmt.Sprint("token ", i)] = token
	}
	for where, text := range texts {
		for what, secret := range secrets {
			if strings.Contains(text, secret) {
				leaks = append(leaks, where+" has the "+what)
			}
		}
	}
	return leaks
}

// tokens are those the registry was sent.
func (in *installation) tokens() []string {
	seen := map[string]bool{}
	for _, req := range in.registry.Requests() {
		if _, token, ok := strings.Cut(req.Authorization, " "); ok {
			seen[token] = true
		}
	}
	return slices.Collect(maps.Keys(seen))
}
