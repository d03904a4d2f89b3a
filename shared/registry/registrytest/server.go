package registrytest

import (
	"net/http/httptest"
	"testing"
)

// Server is a Registry that listens on a free port.
type Server struct {
	*Registry
	URL string // with the prefix
}

// NewServer starts a registry that is closed at the end of the test.
func NewServer(t testing.TB, opts Options) *Server {
	t.Helper()
	r := New(opts)
	s := httptest.NewServer(r)
	t.Cleanup(func() {
		s.CloseClientConnections()
		s.Close()
	})
	return &Server{Registry: r, URL: s.URL + opts.Prefix}
}
