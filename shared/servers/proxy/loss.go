package proxy

import (
	"bytes"
	"slices"
)

// fate is what becomes of a request and its reply.
type fate int

const (
	passes fate = iota
	requestLost
	replyLost
	replySwallowed
)

// loss is to happen to the next so many requests that contain text.
type loss struct {
	fate fate
	text string // in lower case
	left int
}

// LoseRequest cuts the connection of the next n requests that contain text, in
// upper or lower case, and the server does not get them. The empty text is in
// every request. Calls add up; n = 0 takes back what is left of earlier calls
// with this text.
func (p *Proxy) LoseRequest(text string, n int) {
	p.plan(requestLost, text, n)
}

// LoseReply lets the next n requests that contain text pass and cuts their
// connection when the server has replied; the reply is not passed on. Text and
// n are as in [Proxy.LoseRequest].
func (p *Proxy) LoseReply(text string, n int) {
	p.plan(replyLost, text, n)
}

// SwallowReply is like [Proxy.LoseReply], but the connection stays open and
// the client hears nothing on it any more. What it still sends passes.
func (p *Proxy) SwallowReply(text string, n int) {
	p.plan(replySwallowed, text, n)
}

// Lost returns how many requests and replies were lost so far by LoseRequest,
// LoseReply and SwallowReply. A reply counts when it came from the server, and
// before the client sees its connection cut.
func (p *Proxy) Lost() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.lost
}

func (p *Proxy) plan(f fate, text string, n int) {
	text = string(lower([]byte(text)))
	p.mu.Lock()
	defer p.mu.Unlock()
	if n > 0 {
		p.losses = append(p.losses, loss{fate: f, text: text, left: n})
		return
	}
	p.losses = slices.DeleteFunc(p.losses, func(l loss) bool { return l.fate == f && l.text == text })
}

// decide returns what is to become of the link's next request. Once a reply of
// a link is to be lost, what follows belongs to the same request.
func (p *Proxy) decide(l *link, request []byte) fate {
	p.mu.Lock()
	defer p.mu.Unlock()
	if l.fate == passes {
		l.fate = p.next(request)
	}
	return l.fate
}

// next takes one from the first loss that meets the request.
func (p *Proxy) next(request []byte) fate {
	if len(p.losses) == 0 {
		return passes
	}
	request = lower(request)
	for i := range p.losses {
		met := &p.losses[i]
		if !bytes.Contains(request, []byte(met.text)) {
			continue
		}
		f := met.fate
		if met.left--; met.left == 0 {
			p.losses = slices.Delete(p.losses, i, i+1)
		}
		return f
	}
	return passes
}

func (p *Proxy) fateOf(l *link) fate {
	p.mu.Lock()
	defer p.mu.Unlock()
	return l.fate
}

func (p *Proxy) count() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.lost++
}

// lower returns a copy in which ASCII letters are in lower case. The bytes
// need not be text.
func lower(b []byte) []byte {
	b = bytes.Clone(b)
	for i, c := range b {
		if 'A' <= c && c <= 'Z' {
			b[i] = c + 'a' - 'A'
		}
	}
	return b
}
