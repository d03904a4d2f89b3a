package postgres_test

import (
	"bytes"
	"io"
	"net"
	"net/url"
	"sync"
	"testing"
)

// proxy stands between a client and the server and can lose a reply.
type proxy struct {
	url      string
	upstream string

	mu      sync.Mutex
	lose    []byte
	refused bool
	clients map[net.Conn]bool
}

func newProxy(t *testing.T, database string) *proxy {
	t.Helper()
	u, err := url.Parse(database)
	if err != nil {
		t.Fatal(err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &proxy{upstream: u.Host, clients: make(map[net.Conn]bool)}
	u.Host = listener.Addr().String()
	p.url = u.String()
	var serving sync.WaitGroup
	serving.Go(func() {
		for {
			client, err := listener.Accept()
			if err != nil {
				return
			}
			serving.Go(func() { p.serve(client) })
		}
	})
	t.Cleanup(func() {
		_ = listener.Close()
		serving.Wait()
	})
	return p
}

// loseReplyTo cuts the first connection on which message is sent, after the
// server has answered it.
func (p *proxy) loseReplyTo(message string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.lose = []byte(message)
}

// refuse cuts every connection and takes no more, or takes them again.
func (p *proxy) refuse(refused bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.refused = refused
	for client := range p.clients {
		_ = client.Close()
	}
}

// admit tells whether the client is let in.
func (p *proxy) admit(client net.Conn) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.clients[client] = true
	return !p.refused
}

func (p *proxy) serve(client net.Conn) {
	defer client.Close()
	if !p.admit(client) {
		return
	}
	server, err := net.Dial("tcp", p.upstream)
	if err != nil {
		return
	}
	defer server.Close()
	var back sync.WaitGroup
	defer back.Wait()
	pass := make(chan struct{}) // closed when replies are no longer passed on
	back.Go(func() {
		defer client.Close()
		p.answer(client, server, pass)
	})
	p.ask(client, server, pass)
	_ = server.Close()
}

func (p *proxy) ask(client, server net.Conn, lost chan<- struct{}) {
	buffer := make([]byte, 64<<10)
	for {
		n, err := client.Read(buffer)
		if err != nil {
			return
		}
		if p.isLost(buffer[:n]) {
			close(lost)
		}
		if _, err := server.Write(buffer[:n]); err != nil {
			return
		}
	}
}

func (p *proxy) answer(client io.Writer, server io.Reader, lost <-chan struct{}) {
	buffer := make([]byte, 64<<10)
	for {
		n, err := server.Read(buffer)
		if err != nil {
			return
		}
		select {
		case <-lost:
			return
		default:
		}
		if _, err := client.Write(buffer[:n]); err != nil {
			return
		}
	}
}

func (p *proxy) isLost(message []byte) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.lose == nil || !bytes.Contains(message, p.lose) {
		return false
	}
	p.lose = nil
	return true
}
