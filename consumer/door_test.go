package consumer_test

import (
	"context"
	"io"
	"net"
	"net/url"
	"sync"
	"testing"
)

// door stands before a database and can be shut: then it is away.
type door struct {
	t       *testing.T
	url     string
	inside  string // the database's address
	outside string

	mu       sync.Mutex
	listener net.Listener
	conns    map[net.Conn]bool
}

func newDoor(t *testing.T, database string) *door {
	t.Helper()
	u, err := url.Parse(database)
	if err != nil {
		t.Fatal(err)
	}
	d := &door{t: t, inside: u.Host, outside: "127.0.0.1:0", conns: map[net.Conn]bool{}}
	d.open()
	u.Host = d.outside
	d.url = u.String()
	t.Cleanup(d.shut)
	return d
}

func (d *door) open() {
	d.t.Helper()
	var config net.ListenConfig
	listener, err := config.Listen(context.Background(), "tcp", d.outside)
	if err != nil {
		d.t.Fatal(err)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.listener, d.outside = listener, listener.Addr().String()
	go d.serve(listener)
}

func (d *door) shut() {
	d.mu.Lock()
	defer d.mu.Unlock()
	_ = d.listener.Close()
	for conn := range d.conns {
		_ = conn.Close()
	}
	d.conns = map[net.Conn]bool{}
}

func (d *door) serve(listener net.Listener) {
	for {
		outer, err := listener.Accept()
		if err != nil {
			return
		}
		var dialer net.Dialer
		inner, err := dialer.DialContext(context.Background(), "tcp", d.inside)
		if err != nil {
			_ = outer.Close()
			continue
		}
		d.mu.Lock()
		d.conns[outer], d.conns[inner] = true, true
		d.mu.Unlock()
		go pass(inner, outer)
		go pass(outer, inner)
	}
}

func pass(to, from net.Conn) {
	_, _ = io.Copy(to, from)
	_ = to.Close()
	_ = from.Close()
}
