package proxy_test

import (
	"context"
	"errors"
	"net"
	"strings"
	"testing"
	"time"

	"regmend/shared/servers/proxy"
	"regmend/shared/servers/redistest"

	"github.com/redis/go-redis/v9"
)

func TestLoseRequest(t *testing.T) {
	t.Parallel()
	direct, p, rdb := redisBehind(t)
	p.LoseRequest("INCR", 2)
	set(t, rdb, "other", "passes")
	for range 2 {
		if err := incr(rdb); err == nil || isTimeout(err) {
			t.Errorf("INCR = %v, want that the connection ended", err)
		}
	}
	if got := p.Lost(); got != 2 {
		t.Errorf("Lost() = %d, want 2", got)
	}
	wantCount(t, direct, 0)
	if err := incr(rdb); err != nil {
		t.Error(err)
	}
	wantCount(t, direct, 1)
}

func TestLoseReply(t *testing.T) {
	t.Parallel()
	direct, p, rdb := redisBehind(t)
	p.LoseReply("INCR", 2)
	set(t, rdb, "other", "passes")
	for i := range 2 {
		if err := incr(rdb); err == nil || isTimeout(err) {
			t.Errorf("INCR = %v, want that the connection ended", err)
		}
		if got := p.Lost(); got != i+1 {
			t.Errorf("Lost() = %d, want %d", got, i+1)
		}
		wantCount(t, direct, i+1)
	}
	if err := incr(rdb); err != nil {
		t.Error(err)
	}
	wantCount(t, direct, 3)
}

func TestSwallowReply(t *testing.T) {
	t.Parallel()
	direct, p, rdb := redisBehind(t)
	p.SwallowReply("INCR", 1)
	set(t, rdb, "other", "passes")
	if err := incr(rdb); !isTimeout(err) {
		t.Errorf("INCR = %v, want a timeout", err)
	}
	if got := p.Lost(); got != 1 {
		t.Errorf("Lost() = %d, want 1", got)
	}
	wantCount(t, direct, 1)
	if err := incr(rdb); err != nil { // on a new connection
		t.Error(err)
	}
	wantCount(t, direct, 2)
}

// The connection is not cut before the reply was there.
func TestLoseReplyWaitsForTheServer(t *testing.T) {
	t.Parallel()
	for name, lose := range map[string]func(*proxy.Proxy, string, int){
		"LoseReply":    (*proxy.Proxy).LoseReply,
		"SwallowReply": (*proxy.Proxy).SwallowReply,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := serve(t, "a")
			server.hold = make(chan struct{})
			p := start(t, server.addr)
			lose(p, "commit", 1)
			c := dial(t, p)
			c.say(t, "COMMIT")
			c.wantSilence(t)
			if got := p.Lost(); got != 0 {
				t.Errorf("before the reply Lost() = %d, want 0", got)
			}
			close(server.hold)
			until(t, "the reply is lost", func() bool { return p.Lost() == 1 })
			if name == "SwallowReply" {
				c.say(t, "and more")
				until(t, "the server hears what follows", func() bool { return server.replies.Load() == 2 })
				c.wantSilence(t)
				server.stop()
			}
			c.wantCut(t)
		})
	}
}

// Of what is sent at once the server carries out all, although its first
// answer comes while the rest is being carried out.
func TestLoseReplyWaitsForAllOfARequest(t *testing.T) {
	t.Parallel()
	server := serve(t, "a")
	p := start(t, server.addr)
	p.LoseReply("1\n", 1)
	c := dial(t, p)
	const lines = 2000
	c.say(t, strings.Repeat("1\n", lines-1)+"1")
	c.wantCut(t)
	if got := server.replies.Load(); got != lines {
		t.Errorf("the server answered %d lines, want %d", got, lines)
	}
}

// A request larger than what is read at once arrives as a whole.
func TestLoseReplyToALargeRequest(t *testing.T) {
	t.Parallel()
	direct, p, rdb := redisBehind(t)
	p.LoseReply("set", 1)
	large := strings.Repeat("x", 4<<20)
	if err := rdb.Set(t.Context(), "large", large, 0).Err(); err == nil || isTimeout(err) {
		t.Errorf("SET = %v, want that the connection ended", err)
	}
	if got := direct.StrLen(t.Context(), "large").Val(); got != int64(len(large)) {
		t.Errorf("Redis has %d bytes, want %d", got, len(large))
	}
}

func TestWhichRequestsAreMet(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		plan func(*proxy.Proxy)
		want []bool // of the requests "Begin", "COMMIT" and "commit\xff": which are lost
	}{
		"any":                      {func(p *proxy.Proxy) { p.LoseRequest("", 2) }, []bool{true, true, false}},
		"upper case meets lower":   {func(p *proxy.Proxy) { p.LoseRequest("COMMIT\xff", 9) }, []bool{false, false, true}},
		"lower case meets upper":   {func(p *proxy.Proxy) { p.LoseRequest("commit", 1) }, []bool{false, true, false}},
		"none":                     {func(p *proxy.Proxy) { p.LoseRequest("rollback", 9) }, []bool{false, false, false}},
		"bytes need not be text":   {func(p *proxy.Proxy) { p.LoseRequest("\xfe", 9) }, []bool{false, false, false}},
		"texts do not interfere":   {func(p *proxy.Proxy) { p.LoseRequest("\xff", 1); p.LoseRequest("begin", 1) }, []bool{true, false, true}},
		"calls add up":             {func(p *proxy.Proxy) { p.LoseRequest("", 1); p.LoseRequest("", 1) }, []bool{true, true, false}},
		"taken back":               {func(p *proxy.Proxy) { p.LoseRequest("Commit", 9); p.LoseRequest("COMMIT", 0) }, []bool{false, false, false}},
		"only that is taken back":  {func(p *proxy.Proxy) { p.LoseRequest("", 1); p.LoseReply("", 0) }, []bool{true, false, false}},
		"only that text, likewise": {func(p *proxy.Proxy) { p.LoseRequest("g", 1); p.LoseRequest("", 0) }, []bool{true, false, false}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := start(t, serve(t, "a").addr)
			test.plan(p)
			lost := 0
			for i, request := range []string{"Begin", "COMMIT", "commit\xff"} {
				_, err := dial(t, p).ask(request)
				if got := err != nil; got != test.want[i] {
					t.Errorf("%q is lost: %v (%v), want %v", request, got, err, test.want[i])
				}
				if test.want[i] {
					lost++
				}
			}
			if got := p.Lost(); got != lost {
				t.Errorf("Lost() = %d, want %d", got, lost)
			}
		})
	}
}

// redisBehind returns a client of a Redis and one of the same Redis behind a
// proxy, which tries once only.
func redisBehind(t *testing.T) (*redis.Client, *proxy.Proxy, *redis.Client) {
	t.Helper()
	direct := redistest.New(t)
	p := start(t, direct.Options().Addr)
	rdb := redis.NewClient(&redis.Options{Addr: p.Addr(), MaxRetries: -1, ReadTimeout: time.Second})
	t.Cleanup(func() { _ = rdb.Close() }) // its connections may be torn
	set(t, rdb, "warm", "up")
	return direct, p, rdb
}

func set(t *testing.T, rdb *redis.Client, key, value string) {
	t.Helper()
	if err := rdb.Set(t.Context(), key, value, 0).Err(); err != nil {
		t.Fatal(err)
	}
}

func incr(rdb *redis.Client) error {
	return rdb.Incr(context.Background(), "count").Err()
}

func wantCount(t *testing.T, rdb *redis.Client, want int) {
	t.Helper()
	got, err := rdb.Get(t.Context(), "count").Int()
	if err != nil && !errors.Is(err, redis.Nil) {
		t.Fatal(err)
	}
	if got != want {
		t.Errorf("the count in Redis is %d, want %d", got, want)
	}
}

func isTimeout(err error) bool {
	var failed net.Error
	return errors.As(err, &failed) && failed.Timeout()
}
