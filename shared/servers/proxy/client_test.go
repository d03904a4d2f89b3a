package proxy_test

import (
	"bufio"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"regmend/shared/servers/proxy"
)

// client is a connection to the proxy.
type client struct {
	*net.TCPConn
	lines *bufio.Reader
}

func dial(t *testing.T, p *proxy.Proxy) client {
	t.Helper()
	conn, err := net.Dial("tcp", p.Addr())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() }) // it may be torn
	return client{TCPConn: conn.(*net.TCPConn), lines: bufio.NewReader(conn)}
}

func (c client) ask(line string) (string, error) {
	if _, err := fmt.Fprintln(c, line); err != nil {
		return "", err
	}
	return c.read(patience)
}

func (c client) read(within time.Duration) (string, error) {
	if err := c.SetReadDeadline(time.Now().Add(within)); err != nil {
		return "", err
	}
	line, err := c.lines.ReadString('\n')
	return strings.TrimSuffix(line, "\n"), err
}

func (c client) say(t *testing.T, line string) {
	t.Helper()
	if _, err := fmt.Fprintln(c, line); err != nil {
		t.Fatal(err)
	}
}

func (c client) wantPassed(t *testing.T, server string) {
	t.Helper()
	if got, err := c.ask("hello"); err != nil || got != server+": hello" {
		t.Fatalf("the answer = %q, %v, want %q's", got, err, server)
	}
}

func (c client) wantLine(t *testing.T, want string) {
	t.Helper()
	if got, err := c.read(patience); err != nil || got != want {
		t.Errorf("read %q, %v, want %q", got, err, want)
	}
}

func (c client) wantCut(t *testing.T) {
	t.Helper()
	if got, err := c.read(patience); got != "" || err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("read %q, %v, want that the connection ended", got, err)
	}
}

func (c client) wantSilence(t *testing.T) {
	t.Helper()
	if got, err := c.read(moment); got != "" || !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("read %q, %v, want nothing on an open connection", got, err)
	}
}
