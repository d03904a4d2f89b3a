package proxy_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"regmend/shared/servers/proxy"
)

// patience is for what must happen; a moment is for what must not.
const (
	patience = 10 * time.Second
	moment   = 150 * time.Millisecond
)

func TestPassesBothWays(t *testing.T) {
	t.Parallel()
	server := serve(t, "a")
	p := start(t, server.addr)
	if want := fmt.Sprintf("127.0.0.1:%d", p.Port()); p.Addr() != want {
		t.Errorf("Addr() = %q, want %q", p.Addr(), want)
	}
	c := dial(t, p)
	for _, line := range []string{"one", "two", strings.Repeat("large", 100_000)} {
		if got, err := c.ask(line); err != nil || got != "a: "+line {
			t.Errorf("the answer to %.10q = %.20q, %v", line, got, err)
		}
	}
}

func TestClientThatSaidAllGetsItsReplies(t *testing.T) {
	t.Parallel()
	p := start(t, serve(t, "a").addr)
	c := dial(t, p)
	c.say(t, "last")
	if err := c.CloseWrite(); err != nil {
		t.Fatal(err)
	}
	if got, err := io.ReadAll(c); string(got) != "a: last\n" || err != nil {
		t.Errorf("read %q, %v, want the reply and the end", got, err)
	}
}

func TestEndOfTheServerIsPassedOn(t *testing.T) {
	t.Parallel()
	server := serve(t, "a")
	p := start(t, server.addr)
	c := dial(t, p)
	c.wantPassed(t, "a")
	server.stop()
	c.wantCut(t)
	dial(t, p).wantCut(t) // nobody listens there any more
}

func TestEndOfTheClientIsPassedOn(t *testing.T) {
	t.Parallel()
	server := serve(t, "a")
	c := dial(t, start(t, server.addr))
	c.wantPassed(t, "a")
	_ = c.Close()
	until(t, "the server has no connection", func() bool { return server.open.Load() == 0 })
}

func TestCut(t *testing.T) {
	t.Parallel()
	server := serve(t, "a")
	p := start(t, server.addr)
	one, two := dial(t, p), dial(t, p)
	one.wantPassed(t, "a")
	two.wantPassed(t, "a")
	if got := p.Cut(); got != 2 {
		t.Errorf("Cut() = %d, want 2", got)
	}
	if got := p.Cut(); got != 0 {
		t.Errorf("second Cut() = %d, want 0", got)
	}
	one.wantCut(t)
	two.wantCut(t)
	until(t, "the server has no connection", func() bool { return server.open.Load() == 0 })
	dial(t, p).wantPassed(t, "a")
}

func TestRedirect(t *testing.T) {
	t.Parallel()
	p := start(t, serve(t, "a").addr)
	c := dial(t, p)
	c.wantPassed(t, "a")
	p.Redirect(serve(t, "b").addr)
	c.wantCut(t)
	dial(t, p).wantPassed(t, "b")
}

func TestRefuse(t *testing.T) {
	t.Parallel()
	server := serve(t, "a")
	p := start(t, server.addr)
	c := dial(t, p)
	c.wantPassed(t, "a")
	p.Refuse()
	c.wantCut(t)
	dial(t, p).wantCut(t)
	if got := server.taken.Load(); got != 1 {
		t.Errorf("the server saw %d connections, want 1", got)
	}
	p.Pass()
	dial(t, p).wantPassed(t, "a")
}

func TestHang(t *testing.T) {
	t.Parallel()
	server := serve(t, "a")
	p := start(t, server.addr)
	old := dial(t, p)
	old.wantPassed(t, "a")
	p.Hang()
	young := dial(t, p)
	old.say(t, "old")
	young.say(t, "young")
	old.wantSilence(t)
	young.wantSilence(t)
	if got := server.lines.Load(); got != 1 {
		t.Errorf("the server was told %d lines, want 1", got)
	}
	p.Pass()
	old.wantLine(t, "a: old")
	young.wantLine(t, "a: young")
}

// A reply that is on its way when the proxy hangs waits there.
func TestHangHoldsReplies(t *testing.T) {
	t.Parallel()
	server := serve(t, "a")
	server.hold = make(chan struct{})
	p := start(t, server.addr)
	c := dial(t, p)
	c.say(t, "slow")
	until(t, "the server was asked", func() bool { return server.lines.Load() == 1 })
	p.Hang()
	close(server.hold)
	until(t, "the server has answered", func() bool { return server.replies.Load() == 1 })
	c.wantSilence(t)
	p.Pass()
	c.wantLine(t, "a: slow")
}

func TestHangHoldsTheEndOfAConnection(t *testing.T) {
	t.Parallel()
	server := serve(t, "a")
	p := start(t, server.addr)
	stays, leaves, mute := dial(t, p), dial(t, p), dial(t, p)
	stays.wantPassed(t, "a")
	leaves.wantPassed(t, "a")
	p.SwallowReply("", 1)
	mute.say(t, "hello")
	until(t, "the reply is lost", func() bool { return p.Lost() == 1 })
	p.Hang()
	_ = leaves.Close()
	<-time.After(moment)
	if got := server.open.Load(); got != 3 {
		t.Errorf("the server has %d connections, want 3", got)
	}
	server.stop()
	stays.wantSilence(t)
	mute.wantSilence(t)
	p.Pass()
	stays.wantCut(t)
	mute.wantCut(t)
}

func TestWhatHangsCanBeCut(t *testing.T) {
	t.Parallel()
	for name, cut := range map[string]func(*proxy.Proxy){
		"by Cut":      func(p *proxy.Proxy) { p.Cut() },
		"by Refuse":   (*proxy.Proxy).Refuse,
		"by Redirect": func(p *proxy.Proxy) { p.Redirect("127.0.0.1:1") },
		"by Close":    func(p *proxy.Proxy) { _ = p.Close() },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := serve(t, "a")
			p := start(t, server.addr)
			old := dial(t, p)
			old.wantPassed(t, "a")
			p.Hang()
			young := dial(t, p)
			old.say(t, "old")
			young.say(t, "young")
			old.wantSilence(t)
			cut(p)
			old.wantCut(t)
			young.wantCut(t)
			p.Pass()
			if got := server.lines.Load(); got != 1 {
				t.Errorf("the server was told %d lines, want 1", got)
			}
		})
	}
}

func TestCloseLeavesNothing(t *testing.T) {
	server := serve(t, "a")
	before := runtime.NumGoroutine()
	p := start(t, server.addr)
	for range 10 {
		dial(t, p).wantPassed(t, "a")
	}
	p.SwallowReply("", 1)
	silent := dial(t, p)
	silent.say(t, "silent")
	until(t, "a reply is lost", func() bool { return p.Lost() == 1 })
	p.Hang()
	dial(t, p)
	if err := p.Close(); err != nil {
		t.Fatal(err)
	}
	stacks := make([]byte, 1<<20)
	stacks = stacks[:runtime.Stack(stacks, true)]
	for stack := range strings.SplitSeq(string(stacks), "\n\n") {
		if strings.Contains(stack, "servers/proxy.(") {
			t.Errorf("after Close there is still\n%s", stack)
		}
	}
	until(t, "the server's goroutines ended", func() bool { return runtime.NumGoroutine() <= before })
	if _, err := net.Dial("tcp", p.Addr()); err == nil {
		t.Error("the closed proxy still listens")
	}
	if err := p.Close(); err != nil {
		t.Errorf("second Close() = %v", err)
	}
}

// TestUsedByManyAtOnce is for the race detector, and that nothing is stuck.
func TestUsedByManyAtOnce(t *testing.T) {
	t.Parallel()
	server, other := serve(t, "a"), serve(t, "b")
	p := start(t, server.addr)
	var clients sync.WaitGroup
	var over atomic.Bool
	for range 4 {
		clients.Go(func() {
			for !over.Load() {
				chat(p.Addr())
			}
		})
	}
	deeds := []func(){
		p.Refuse, p.Hang, p.Pass, func() { p.Cut() }, func() { p.Lost() },
		func() { p.Redirect(other.addr) }, func() { p.Redirect(server.addr) },
		func() { p.LoseRequest("3", 1) }, func() { p.LoseReply("2", 1) }, func() { p.SwallowReply("1", 1) },
	}
	var doers sync.WaitGroup
	for n := range 3 {
		doers.Go(func() {
			for i := range 200 {
				deeds[(i*7+n)%len(deeds)]()
			}
		})
	}
	doers.Wait()
	p.Pass()
	over.Store(true)
	p.Cut()
	clients.Wait()
}

// chat says a few lines; what becomes of them does not matter.
func chat(addr string) {
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		return
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(moment))
	reader := bufio.NewReader(conn)
	for i := range 4 {
		if _, err := fmt.Fprintln(conn, i); err != nil {
			return
		}
		if _, err := reader.ReadString('\n'); err != nil {
			return
		}
	}
}

func start(t *testing.T, upstream string) *proxy.Proxy {
	t.Helper()
	p, err := proxy.Start(upstream)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := p.Close(); err != nil {
			t.Error(err)
		}
	})
	return p
}

func until(t *testing.T, what string, is func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !is(); <-time.After(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("waited %v until %s", patience, what)
		}
	}
}
