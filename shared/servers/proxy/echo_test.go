package proxy_test

import (
	"bufio"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"testing"
)

// echo answers every line with its name and that line.
type echo struct {
	addr string
	hold chan struct{} // if there, answers wait until it is closed

	open, taken, lines, replies atomic.Int64
	stop                        func()
}

func serve(t *testing.T, name string) *echo {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	e := &echo{addr: listener.Addr().String()}
	var serving sync.WaitGroup
	var conns sync.Map
	serving.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			conns.Store(conn, true)
			e.taken.Add(1)
			e.open.Add(1)
			serving.Go(func() { e.answer(conn, name) })
		}
	})
	e.stop = func() {
		_ = listener.Close() // perhaps again
		conns.Range(func(conn, _ any) bool { return conn.(net.Conn).Close() == nil || true })
		serving.Wait()
	}
	t.Cleanup(e.stop)
	return e
}

func (e *echo) answer(conn net.Conn, name string) {
	defer e.open.Add(-1)
	defer conn.Close()
	reader := bufio.NewReader(conn)
	for {
		line, err := reader.ReadString('\n')
		if err != nil {
			return
		}
		e.lines.Add(1)
		if e.hold != nil {
			<-e.hold
		}
		if _, err := fmt.Fprintf(conn, "%s: %s", name, line); err != nil {
			return
		}
		e.replies.Add(1)
	}
}
