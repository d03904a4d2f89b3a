package registry_test

import (
	"encoding/pem"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"regmend/shared/registry"
	"regmend/shared/registry/registrytest"
)

// trusting makes a client trust a server by a CA file.
func trusting(t *testing.T, server *httptest.Server) func(*registry.Config) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "ca.pem")
	text := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
	if err := os.WriteFile(file, text, 0o600); err != nil {
		t.Fatal(err)
	}
	return func(cfg *registry.Config) { cfg.CAFile = file }
}

// TestCAFileAndHTTP2 lists a registry whose certificate only the CA file vouches
// for, page by page over one connection.
func TestCAFileAndHTTP2(t *testing.T) {
	fake := registrytest.New(registrytest.Options{})
	pushMany(fake, "g/p", 20)
	var mu sync.Mutex
	connections, protocols := map[string]bool{}, map[string]bool{}
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		mu.Lock()
		connections[req.RemoteAddr], protocols[req.Proto] = true, true
		mu.Unlock()
		fake.ServeHTTP(w, req)
	}))
	server.EnableHTTP2 = true
	server.StartTLS()
	t.Cleanup(server.Close)

	_, err := newClient(t, server.URL).Probe(t.Context())
	if answer := failure(t, err); !answer.Outage() || !strings.Contains(answer.Reason, "give the authority's certificate as CA file") {
		t.Errorf("without the CA file: %v", err)
	}
	clear(connections)
	clear(protocols)
	client := newClient(t, server.URL, trusting(t, server), pageSize(3))
	if got, _, err := list(t, client, "g/p"); err != nil || len(got) != 20 {
		t.Errorf("listing = %v, %v", got, err)
	}
	if len(connections) != 1 || !protocols["HTTP/2.0"] {
		t.Errorf("%d connections speaking %v, want one speaking HTTP/2.0", len(connections), protocols)
	}
}

func TestCAFileThatIsNone(t *testing.T) {
	file := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(file, []byte("no certificate"), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := registry.New(registry.Config{URL: "https://x", CAFile: file})
	if err == nil || !strings.Contains(err.Error(), "no certificate in PEM form") {
		t.Errorf("New() = %v", err)
	}
}

// TestProxyVariables runs itself again as a process of its own: they are read
// once in a process.
func TestProxyVariables(t *testing.T) {
	const registryURL = "http://registry.example.com"
	if os.Getenv("REGISTRY_TEST_BEHIND_PROXY") != "" {
		if got, _, err := list(t, newClient(t, registryURL), "g/p"); err != nil || len(got) != 20 {
			t.Errorf("listing = %v, %v", got, err)
		}
		return
	}
	fake := registrytest.New(registrytest.Options{})
	pushMany(fake, "g/p", 20)
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		if !strings.HasPrefix(req.RequestURI, registryURL+"/") {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		fake.ServeHTTP(w, req)
	}))
	t.Cleanup(proxy.Close)
	again := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestProxyVariables$", "-test.count=1")
	again.Env = append(os.Environ(), "REGISTRY_TEST_BEHIND_PROXY=yes", "HTTP_PROXY="+proxy.URL, "NO_PROXY=", "no_proxy=")
	if out, err := again.CombinedOutput(); err != nil {
		t.Errorf("behind a proxy: %v\n%s", err, out)
	}
}
