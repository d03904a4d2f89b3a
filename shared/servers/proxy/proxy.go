// Package proxy stands between clients and a server, on the loopback
// interface, and does on command what networks do: connections are refused,
// cut or hang, a request does not arrive, or it does and its reply is lost.
//
// It knows no protocol. A request is what one read of the client's connection
// brings, at most 64 KiB: what clients that wait for the reply send in one
// write, unless it is larger.
package proxy

import (
	"context"
	"errors"
	"net"
	"sync"
	"time"
)

// Proxy passes connections on to one server. Its methods may be called at the
// same time. Of Refuse, Hang and Pass the last call counts.
type Proxy struct {
	listener *net.TCPListener
	serving  sync.WaitGroup

	mu       sync.Mutex
	upstream string
	closed   bool
	refusing bool
	hanging  bool
	passing  chan struct{} // closed unless it hangs
	links    map[*link]bool
	losses   []loss
	lost     int
}

// Start listens on a free port and passes what comes to upstream, a host and
// port. Nobody needs to listen there yet.
func Start(upstream string) (*Proxy, error) {
	listener, err := net.ListenTCP("tcp", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		return nil, err
	}
	p := &Proxy{
		listener: listener,
		upstream: upstream,
		passing:  make(chan struct{}),
		links:    map[*link]bool{},
	}
	close(p.passing)
	p.serving.Go(p.accept)
	return p, nil
}

// Addr returns the host and port of the proxy.
func (p *Proxy) Addr() string {
	return p.listener.Addr().String()
}

// Port returns the port of the proxy, which is on 127.0.0.1.
func (p *Proxy) Port() int {
	return p.listener.Addr().(*net.TCPAddr).Port
}

// Close stops listening, cuts every connection and returns when all that was
// started has ended. A second call does nothing.
func (p *Proxy) Close() error {
	p.mu.Lock()
	again := p.closed
	p.closed = true
	p.mu.Unlock()
	if again {
		return nil
	}
	err := p.listener.Close()
	p.Cut()
	p.serving.Wait()
	return err
}

// Redirect cuts every connection; new ones lead to upstream.
func (p *Proxy) Redirect(upstream string) {
	p.mu.Lock()
	p.upstream = upstream
	p.mu.Unlock()
	p.Cut()
}

// Cut cuts every connection, also those that hang, and returns how many there
// were. New ones are taken.
func (p *Proxy) Cut() int {
	links := p.current()
	for _, l := range links {
		l.cut()
	}
	for _, l := range links {
		<-l.gone
	}
	return len(links)
}

// Refuse cuts every connection and takes none, until Pass: clients see theirs
// closed at once.
func (p *Proxy) Refuse() {
	p.mu.Lock()
	// If it hangs it still does, so that nothing slips through before the cut.
	p.refusing = true
	p.mu.Unlock()
	p.Cut()
}

// Hang lets nothing pass in either direction, not even the end of a
// connection, and keeps all open, new ones too, until Pass. What was being
// passed on when it was called may still arrive.
func (p *Proxy) Hang() {
	p.admitAll(true)
}

// Pass ends Refuse and Hang; what hung goes on, also what its client has given
// up since.
func (p *Proxy) Pass() {
	p.admitAll(false)
}

// admitAll ends Refuse; what is let in hangs or passes.
func (p *Proxy) admitAll(hanging bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.refusing = false
	if hanging == p.hanging {
		return
	}
	p.hanging = hanging
	if hanging {
		p.passing = make(chan struct{})
	} else {
		close(p.passing)
	}
}

func (p *Proxy) accept() {
	const pause = 5 * time.Millisecond
	for {
		client, err := p.listener.AcceptTCP()
		switch {
		case errors.Is(err, net.ErrClosed):
			return
		case err != nil: // too many open files, say; that passes
			<-time.After(pause)
		default:
			p.serving.Go(func() { p.serve(client) })
		}
	}
}

// admit tells whether the link is let in.
func (p *Proxy) admit(l *link) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed || p.refusing {
		return false
	}
	p.links[l] = true
	return true
}

func (p *Proxy) forget(l *link) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.links, l)
	close(l.gone)
}

func (p *Proxy) current() []*link {
	p.mu.Lock()
	defer p.mu.Unlock()
	links := make([]*link, 0, len(p.links))
	for l := range p.links {
		links = append(links, l)
	}
	return links
}

// mayPass waits while the proxy hangs and tells whether the link is still
// there.
func (p *Proxy) mayPass(ctx context.Context) bool {
	p.mu.Lock()
	passing := p.passing
	p.mu.Unlock()
	select {
	case <-passing:
	case <-ctx.Done():
	}
	return ctx.Err() == nil
}
