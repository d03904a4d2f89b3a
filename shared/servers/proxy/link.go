package proxy

import (
	"context"
	"errors"
	"io"
	"net"
	"time"
)

const chunk = 64 << 10

// link is a client's connection and the one it leads to.
type link struct {
	client, server *net.TCPConn
	cut            context.CancelFunc
	gone           chan struct{} // closed when both connections are
	fate           fate          // guarded by Proxy.mu
}

func (p *Proxy) serve(client *net.TCPConn) {
	ctx, cut := context.WithCancel(context.Background())
	l := &link{client: client, cut: cut, gone: make(chan struct{})}
	defer p.forget(l)
	defer cut()
	defer client.Close()
	if !p.admit(l) {
		return
	}
	server, err := p.dial(ctx)
	if err != nil {
		return
	}
	l.server = server
	p.serving.Go(func() { p.ask(ctx, l) })
	p.serving.Go(func() { p.answer(ctx, l) })
	<-ctx.Done()
	_ = server.Close() // the client's follows
}

func (p *Proxy) dial(ctx context.Context) (*net.TCPConn, error) {
	if !p.mayPass(ctx) {
		return nil, context.Cause(ctx)
	}
	p.mu.Lock()
	upstream := p.upstream
	p.mu.Unlock()
	var dialer net.Dialer
	server, err := dialer.DialContext(ctx, "tcp", upstream)
	if err != nil {
		return nil, err
	}
	return server.(*net.TCPConn), nil
}

// ask passes requests on until the client has no more.
func (p *Proxy) ask(ctx context.Context, l *link) {
	buffer := make([]byte, chunk)
	for {
		n, err := l.client.Read(buffer)
		if !p.mayPass(ctx) {
			return
		}
		if n > 0 && p.decide(l, buffer[:n]) == requestLost {
			p.count()
			l.cut()
			return
		}
		// If the server does not take it, its replies end too, and answer
		// passes on first what it said before.
		if _, failed := l.server.Write(buffer[:n]); failed != nil {
			return
		}
		if err != nil {
			l.finish(err)
			return
		}
	}
}

// finish tells the server how the client ended: one that only has no more
// requests still gets its replies.
func (l *link) finish(err error) {
	if !errors.Is(err, io.EOF) || l.server.CloseWrite() != nil {
		l.cut()
	}
}

// answer passes replies on until the server or the client is gone, or a reply
// is to be lost; then it ends the link.
func (p *Proxy) answer(ctx context.Context, l *link) {
	defer l.cut()
	buffer := make([]byte, chunk)
	for {
		n, err := l.server.Read(buffer)
		if !p.mayPass(ctx) {
			return
		}
		if n > 0 && p.fateOf(l) != passes {
			p.withhold(l)
			p.mayPass(ctx) // while it hangs, so does the end
			return
		}
		if _, failed := l.client.Write(buffer[:n]); err != nil || failed != nil {
			return
		}
	}
}

// withhold is called when a reply that is to be lost has begun.
func (p *Proxy) withhold(l *link) {
	if p.fateOf(l) == replySwallowed {
		p.count()
		_, _ = io.Copy(io.Discard, l.server) // until either side leaves
		return
	}
	awaitEnd(l.server)
	p.count()
}

// awaitEnd reads on until nothing has come for a moment. The first bytes do
// not show yet that the server has carried out all: of several commands in one
// request, or of a statement with a long result.
func awaitEnd(server net.Conn) {
	const quiet = 20 * time.Millisecond
	buffer := make([]byte, chunk)
	for {
		if err := server.SetReadDeadline(time.Now().Add(quiet)); err != nil {
			return
		}
		if _, err := server.Read(buffer); err != nil {
			return
		}
	}
}
