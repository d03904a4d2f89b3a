package main_test

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"regmend/shared/gitlab/gitlabtest"
	"regmend/shared/registry/registrytest"

	"github.com/redis/go-redis/v9"
)

// P16. What processes print is looked at after every other test as well.
func TestP16_SecretsAreNowhereToBeSeen(t *testing.T) {
	t.Parallel()
	in := newInstallation(t, registrytest.Options{Latency: 5 * time.Millisecond})
	in.fill(gitlabtest.Generate(12, 600))
	in.env["REGMEND_LOG_LEVEL"] = "debug"
	in.migrate("batch_size", "20", "flush_after", "1s")
	in.env["REGMEND_WEB_USERNAME"] = "operator"
	in.env["REGMEND_WEB_PASSWORD"] = in.secret("web password")
	web := in.start("web", "--listen", in.freeAddress())
	producer := in.start("producer", "--metrics-listen", in.freeAddress())
	consumers := in.begin(2)

	for _, share := range []int64{10, 4, 2} {
		in.await("a part is analysed", time.Minute, func(s status) bool { return s.Completed >= s.Eligible/share })
		in.registry.Revoke() // so that what goes wrong is told, too
		in.checkSecrets(in.stored())
		in.checkSecrets(in.pages(web, append(consumers, producer)...))
	}
	s := in.await("every project is analysed", time.Minute, status.analysed)
	in.checkSecrets(in.stored())
	in.checkSecrets(in.pages(web, append(consumers, producer)...))
	in.checkResults(s.Run)
	in.runWithFaults()
}

// stored is everything that Redis and regmend's schema hold.
func (in *installation) stored() map[string]string {
	in.t.Helper()
	texts := map[string]string{
		"the schema": in.postgres("pg_dump", "--schema=regmend", in.URL),
	}
	client, ctx := in.redisClient(), in.t.Context()
	keys := client.Scan(ctx, 0, "", 1000).Iterator()
	for keys.Next(ctx) {
		texts["the Redis key "+keys.Val()] = keys.Val() + "\n" + in.redisValue(client, keys.Val())
	}
	if err := keys.Err(); err != nil || len(texts) < 5 {
		in.t.Fatalf("%d texts from Redis and Postgres: %v", len(texts), err)
	}
	return texts
}

// redisValue is what a key holds, as text; "" if it has gone meanwhile.
func (in *installation) redisValue(client *redis.Client, key string) string {
	in.t.Helper()
	ctx := in.t.Context()
	kind, err := client.Type(ctx, key).Result()
	if err != nil {
		in.t.Fatal(err)
	}
	command := map[string][]any{
		"string": {"GET", key},
		"hash":   {"HGETALL", key},
		"list":   {"LRANGE", key, 0, -1},
		"set":    {"SMEMBERS", key},
		"zset":   {"ZRANGE", key, 0, -1, "WITHSCORES"},
		"none":   {"PING"},
	}[kind]
	if command == nil {
		in.t.Fatalf("key %s is a %s, which this test cannot read", key, kind)
	}
	value, err := client.Do(ctx, command...).Result()
	if err != nil && !errors.Is(err, redis.Nil) {
		in.t.Fatal(err)
	}
	return fmt.Sprint(value)
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
		"/", "/healthz", "/readyz", "/metrics", "/queues/", "/queues/api/queues", "/queues/api/queues/scan/active_tasks",
		"/queues/api/queues/scan/pending_tasks", "/queues/api/queues/scan/completed_tasks", "/queues/api/servers", "/queues/api/redis_info",
	} {
		read(web, path)
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
	secrets := maps.Clone(in.secrets)
	for i, token := range in.tokens() {
		secrets[fmt.Sprint("token ", i)] = token
	}
	for where, text := range texts {
		for what, secret := range secrets {
			if strings.Contains(text, secret) {
				in.t.Errorf("%s has the %s", where, what)
			}
		}
	}
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
