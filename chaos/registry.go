package main

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"regmend/shared/registry/registrytest"
	"regmend/shared/servers/proxy"
)

// registrySide is GitLab's registry behind TLS and a proxy. It takes the tokens
// that regmend signs, and remembers every request.
type registrySide struct {
	double *registrytest.Registry
	twins  map[string]*registrytest.Registry
	tagged func() []string // the sorted paths of all repositories that have tags
	pushed []string        // and of those that have none as well
	log    *requestLog
	spoils spoils
	// ill spoils every answer, if it is there.
	ill atomic.Pointer[registrytest.Fault]
	// screen spoils the answers to one kind of requests, if it is there.
	screen atomic.Pointer[screen]
	// held keeps requests about one repository waiting, if it is there.
	held atomic.Pointer[holdingPath]
	// position tells where in the catalog the sweep is, as regmend noted it.
	position func() string
	// alone tells that nothing else is broken, so that it is certain whose
	// fault it is if regmend does not do what it should.
	alone atomic.Bool

	handshake *handshake
	server    *http.Server
	proxy     *proxy.Proxy
	stranger  net.Listener
	met       atomic.Int64 // connections to the stranger
	serving   sync.WaitGroup

	doubling sync.Mutex
	doubled  []time.Time // when names of the catalog were given once more

	caFile, keyFile string
}

// The registries that can be in the double's place, with the same keys.
const (
	twinGlibc      = "glibc"       // the same, in another collation
	twinICU        = "icu"         // the same, in another collation
	twinNoDatabase = "no-database" // the same, its metadata database switched off
	twinEmpty      = "empty"       // it knows the namespaces, and nothing in them
	twinForeign    = "foreign"     // another installation's
)

// registryLatency is how long it takes for an answer, tagsLatency for one about
// the tags of one repository: the first sweep of a run asks for thousands.
const registryLatency, tagsLatency = 10 * time.Millisecond, time.Millisecond

// catalogPage makes a walk through the catalog of many pages.
const catalogPage = 250

func (in *installation) startRegistry(context.Context) (*registrySide, error) {
	r := &registrySide{log: newRequestLog(), spoils: newSpoils()}
	for _, step := range []func(*installation) error{r.writeFiles, r.listen, r.watchStranger} {
		if err := step(in); err != nil {
			return nil, errors.Join(fmt.Errorf("registry: %w", err), r.stop())
		}
	}
	return r, nil
}

// writeFiles writes what regmend needs, and fills the registries, which have to
// know the key.
func (r *registrySide) writeFiles(in *installation) error {
	dir, err := in.folder("registry")
	if err != nil {
		return err
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return err
	}
	text := pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})
	in.keepSecretLines("signing key", text)
	ca, err := newAuthority("chaos")
	if err != nil {
		return err
	}
	if r.handshake, err = newHandshake(ca); err != nil {
		return err
	}
	r.fill(in, key.Public())
	r.keyFile, r.caFile = filepath.Join(dir, "key.pem"), filepath.Join(dir, "ca.pem")
	return errors.Join(os.WriteFile(r.keyFile, text, 0o600), os.WriteFile(r.caFile, ca.pem(), 0o644))
}

// keepSecretLines takes each line of a PEM file's content for a secret.
func (in *installation) keepSecretLines(what string, text []byte) {
	in.mu.Lock()
	defer in.mu.Unlock()
	for i, line := range bytes.Split(bytes.TrimSpace(text), []byte("\n")) {
		if !bytes.HasPrefix(line, []byte("-----")) {
			in.secrets[fmt.Sprintf("%s, line %d", what, i)] = string(line)
		}
	}
}

// fill makes the double and its twins.
func (r *registrySide) fill(in *installation, key crypto.PublicKey) {
	registry := func(opts registrytest.Options) *registrytest.Registry {
		opts.Latency, opts.TagsLatency, opts.CatalogPage, opts.Record = registryLatency, tagsLatency, catalogPage, 1000
		opts.Auth = &registrytest.Auth{Keys: []crypto.PublicKey{key}}
		return registrytest.New(opts)
	}
	r.double = registry(registrytest.Options{})
	r.twins = map[string]*registrytest.Registry{
		twinGlibc:      registry(registrytest.Options{Collation: registrytest.Glibc}),
		twinICU:        registry(registrytest.Options{Collation: registrytest.ICU}),
		twinNoDatabase: registry(registrytest.Options{Mode: registrytest.GitLabNoDatabase}),
		twinEmpty:      registry(registrytest.Options{}),
		twinForeign:    registry(registrytest.Options{}),
	}
	tops := map[string]bool{}
	in.world.Push(func(path string, tags ...string) {
		r.pushed = append(r.pushed, path)
		for _, same := range []*registrytest.Registry{r.double, r.twins[twinGlibc], r.twins[twinICU], r.twins[twinNoDatabase]} {
			same.Push(path, tags...)
		}
		r.twins[twinForeign].Push("elsewhere-"+path, tags...)
		if top, _, _ := strings.Cut(path, "/"); !tops[top] {
			tops[top] = true
			r.twins[twinEmpty].Push(path, tags...)
			r.twins[twinEmpty].Delete(path)
		}
	})
	slices.Sort(r.pushed)
	r.pushed = slices.Compact(r.pushed)
	r.tagged = sync.OnceValue(r.double.Tagged)
}

// listen serves behind the proxy.
func (r *registrySide) listen(*installation) error {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	r.server = &http.Server{
		Handler: r, TLSConfig: r.handshake.config(), ReadHeaderTimeout: time.Minute,
		ErrorLog: log.New(io.Discard, "", 0), // of handshakes that are to fail
	}
	r.serving.Go(func() { _ = r.server.ServeTLS(listener, "", "") }) // until it is closed
	r.proxy, err = proxy.Start(listener.Addr().String())
	return err
}

// watchStranger listens at the host to which false Links and redirects lead:
// another one, with the same port.
func (r *registrySide) watchStranger(*installation) (err error) {
	r.stranger, err = net.Listen("tcp", net.JoinHostPort(strangerHost, strconv.Itoa(r.proxy.Port())))
	if err != nil {
		return err
	}
	r.serving.Go(func() {
		for {
			conn, err := r.stranger.Accept()
			if errors.Is(err, net.ErrClosed) {
				return
			}
			if err == nil {
				r.met.Add(1)
				_ = conn.Close()
			}
		}
	})
	return nil
}

const strangerHost = "127.0.0.2"

// stop ends the servers.
func (r *registrySide) stop() error {
	var errs []error
	if r.proxy != nil {
		errs = append(errs, r.proxy.Close())
	}
	if r.server != nil {
		errs = append(errs, r.server.Close())
	}
	if r.stranger != nil {
		errs = append(errs, r.stranger.Close())
	}
	r.serving.Wait()
	return errors.Join(errs...)
}

// env is what regmend is told of the registry.
func (r *registrySide) env() map[string]string {
	return map[string]string{
		"REGMEND_REGISTRY_URL":            r.url(),
		"REGMEND_REGISTRY_CA_FILE":        r.caFile,
		"REGMEND_REGISTRY_TOKEN_KEY_FILE": r.keyFile,
	}
}

func (r *registrySide) url() string { return "https://" + r.proxy.Addr() }

// requests are those so far, in the order of their start.
func (r *registrySide) requests() []request { return r.log.since(0) }

// count tells how many requests there were.
func (r *registrySide) count() int { n, _ := r.log.now(); return n }

// inFlight tells how many requests are being answered.
func (r *registrySide) inFlight() int { _, n := r.log.now(); return n }

// strangers tells how often somebody followed a Link or a redirect to another
// host.
func (r *registrySide) strangers() int { return int(r.met.Load()) }
