package registry

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// do sends one GET request and lets read have the body of an answer with status
// 200, bounded in size and time; every other answer is an *Error, and so is a
// body that read finds fault with.
func (c *Client) do(ctx context.Context, target *url.URL, read func(http.Header, io.Reader) error) error {
	ctx, cancel := withDeadline(ctx, "the answer", c.requestTimeout(target))
	defer cancel()
	resp, err := c.http.Do(newGet(ctx, target))
	if err != nil {
		return noAnswer(ctx, target.Path, err)
	}
	defer resp.Body.Close() //nolint:errcheck // it was only read
	defer drain(resp.Body)
	if resp.StatusCode != http.StatusOK {
		return unexpected(resp, target.Path, accessOf(strings.TrimPrefix(target.Path, c.base.Path)), time.Now())
	}
	if err = c.readBody(resp, read); err == nil {
		return nil
	}
	if ctx.Err() != nil {
		return ended(ctx, resp.StatusCode, target.Path)
	}
	return malformed(target.Path, resp.Header, err)
}

// newGet is http.NewRequestWithContext for an address that need not be written
// and read again.
func newGet(ctx context.Context, target *url.URL) *http.Request {
	req := &http.Request{
		Method: http.MethodGet, URL: target, Host: target.Host,
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Header: make(http.Header),
	}
	return req.WithContext(ctx)
}

// requestTimeout is longer for the catalog: distribution walks its whole storage
// for a page of it, which was seen to take a minute.
func (c *Client) requestTimeout(target *url.URL) time.Duration {
	if target.Path == c.base.Path+routeCatalog {
		return 4 * c.cfg.RequestTimeout
	}
	return c.cfg.RequestTimeout
}

func (c *Client) readBody(resp *http.Response, read func(http.Header, io.Reader) error) error {
	if coding := resp.Header.Get("Content-Encoding"); coding != "" && coding != "identity" {
		return fmt.Errorf("it has the coding %.20q, which nobody asked for", coding)
	}
	err := read(resp.Header, &limitedReader{r: resp.Body, left: c.cfg.MaxBody})
	if errors.Is(err, io.ErrUnexpectedEOF) {
		return fmt.Errorf("it is empty or cut: %w", err)
	}
	return err
}

// errTooLarge says that a body is larger than Config.MaxBody.
var errTooLarge = errors.New("it is larger than the limit")

// limitedReader is like io.LimitedReader, but what is too large does not look
// like what ends there.
type limitedReader struct {
	r    io.Reader
	left int64
}

func (l *limitedReader) Read(p []byte) (int, error) {
	if int64(len(p)) > l.left+1 {
		p = p[:l.left+1]
	}
	n, err := l.r.Read(p)
	if l.left -= int64(n); l.left < 0 {
		return 0, errTooLarge
	}
	return n, err
}

// drain reads what little may remain of a body, so that its connection can be
// used again.
func drain(body io.Reader) {
	_, _ = io.CopyN(io.Discard, body, 64<<10) // if not, the connection is closed
}
