package slots_test

import (
	"net"
	"sync"
	"testing"
)

// proxy stands between a client and its Redis and does what networks do.
type proxy struct {
	addr     string
	upstream string

	mu    sync.Mutex
	hung  chan struct{} // nothing passes until it is closed
	drops int           // so many messages are still to be lost
	way   direction     // those that are lost
	conns map[net.Conn]bool
}

type direction int

const (
	requests direction = iota
	replies
)

func newProxy(t *testing.T, upstream string) *proxy {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	open := make(chan struct{})
	close(open)
	p := &proxy{addr: listener.Addr().String(), upstream: upstream, hung: open, conns: map[net.Conn]bool{}}
	var serving sync.WaitGroup
	serving.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			serving.Go(func() { p.serve(conn) })
		}
	})
	t.Cleanup(func() {
		_ = listener.Close() // only read from
		p.resume()
		p.closeAll()
		serving.Wait()
	})
	return p
}

// hang lets nothing pass, and keeps connections open.
func (p *proxy) hang() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.hung = make(chan struct{})
}

func (p *proxy) resume() {
	p.mu.Lock()
	defer p.mu.Unlock()
	select {
	case <-p.hung:
	default:
		close(p.hung)
	}
}

// drop loses the next message in that direction: a request does not reach
// Redis, or it does and its reply does not come back.
func (p *proxy) drop(way direction) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.drops, p.way = 1, way
}

// dropped tells whether it was lost.
func (p *proxy) dropped() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.drops == 0
}

func (p *proxy) closeAll() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for conn := range p.conns {
		_ = conn.Close() // that is the point
	}
}

func (p *proxy) track(conn net.Conn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.conns[conn] = true
}

func (p *proxy) serve(down net.Conn) {
	p.track(down)
	defer down.Close() //nolint:errcheck // one end of a torn connection
	up, err := net.Dial("tcp", p.upstream)
	if err != nil {
		return
	}
	p.track(up)
	defer up.Close() //nolint:errcheck // one end of a torn connection
	var there sync.WaitGroup
	there.Go(func() {
		p.pump(up, down, requests)
		_ = up.Close() // ends the other direction
	})
	p.pump(down, up, replies)
	_ = down.Close() // ends the other direction
	there.Wait()
}

func (p *proxy) pump(to, from net.Conn, way direction) {
	buffer := make([]byte, 64<<10)
	for {
		n, err := from.Read(buffer)
		p.mu.Lock()
		hung := p.hung
		drop := way == p.way && n > 0 && p.drops > 0
		if drop {
			p.drops--
		}
		p.mu.Unlock()
		<-hung
		if drop || err != nil {
			return
		}
		if _, err := to.Write(buffer[:n]); err != nil {
			return
		}
	}
}
