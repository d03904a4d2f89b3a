package main_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"testing"

	"regmend/shared/postgres/postgrestest"
	"regmend/shared/registry/registrytest"
	"regmend/shared/servers"
	"regmend/shared/servers/redistest"

	"github.com/redis/go-redis/v9"
)

// installation is a GitLab with its registry, a Redis, and the processes of
// regmend's that work on them. Whatever a test does with it, at the end every
// process has to leave as P14 says, without a data race, and to have kept the
// secrets (P16).
type installation struct {
	*postgrestest.Database // without DB: regmend is all that uses it

	t             *testing.T
	redis         *servers.Redis
	redisPassword string
	registry      *registrytest.Server
	dir           string            // of what processes print
	env           map[string]string // of regmend's processes
	secrets       map[string]string // what it is: what must not be seen

	running []*process
	files   int
}

// newInstallation has GitLab's tables, empty, and nothing of regmend's.
func newInstallation(t *testing.T, opts registrytest.Options) *installation {
	t.Helper()
	return installationOn(t, postgrestest.Empty(t), opts)
}

func installationOn(t *testing.T, db *postgrestest.Database, opts registrytest.Options) *installation {
	t.Helper()
	in := &installation{
		Database: db,
		t:        t,
		dir:      t.TempDir(),
		env:      map[string]string{"PATH": os.Getenv("PATH"), "GORACE": "halt_on_error=1"},
		secrets:  map[string]string{},
	}
	in.useDatabase(db.URL)
	in.redisPassword = in.secret("redis password")
	in.redis = redistest.Start(t, "--requirepass", in.redisPassword)
	in.env["REGMEND_REDIS_URL"] = "redis://:" + in.redisPassword + "@" + in.redis.Addr + "/0"
	in.startRegistry(opts)
	t.Cleanup(in.end)
	return in
}

// secret makes one up, and another for each time it is asked for.
func (in *installation) secret(what string) string {
	secret := rand.Text()
	in.secrets[fmt.Sprintf("%s (secret %d)", what, len(in.secrets)+1)] = secret
	return secret
}

// useDatabase gives regmend the database of that URL, with a password; private
// servers let everyone in, whatever it is.
func (in *installation) useDatabase(address string) {
	u, err := url.Parse(address)
	if err != nil {
		in.t.Fatal(err)
	}
	u.User = url.UserPassword(u.User.Username(), in.secret("password of the database user "+u.User.Username()))
	in.env["REGMEND_DATABASE_URL"] = u.String()
}

// startRegistry starts one that wants GitLab's signed tokens, or, if it speaks
// the distribution API only, those of its token server. Of opts.Auth it is kept
// whether the catalog is granted.
func (in *installation) startRegistry(opts registrytest.Options) {
	if opts.Mode == registrytest.Distribution {
		opts.Auth = &registrytest.Auth{TokenServer: true, Username: "regmend", Password: in.secret("registry password")}
		in.env["REGMEND_REGISTRY_USERNAME"] = opts.Auth.Username
		in.env["REGMEND_REGISTRY_PASSWORD"] = opts.Auth.Password
	} else {
		refused := opts.Auth != nil && opts.Auth.NoCatalog
		opts.Auth = &registrytest.Auth{Keys: []crypto.PublicKey{in.signingKey()}, NoCatalog: refused}
	}
	in.registry = registrytest.NewServer(in.t, opts)
	in.env["REGMEND_REGISTRY_URL"] = in.registry.URL
}

// signingKey gives regmend a key file, and returns the public key.
func (in *installation) signingKey() crypto.PublicKey {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		in.t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		in.t.Fatal(err)
	}
	text := pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})
	in.env["REGMEND_REGISTRY_TOKEN_KEY_FILE"] = in.file("key.pem", text)
	in.keepSecretPEM("signing key", text)
	return key.Public()
}

// file writes a file only we can read, and returns its path.
func (in *installation) file(name string, content []byte) string {
	path := filepath.Join(in.t.TempDir(), name)
	if err := os.WriteFile(path, content, 0o600); err != nil {
		in.t.Fatal(err)
	}
	return path
}

// redisClient returns one of its own, for looking around.
func (in *installation) redisClient() *redis.Client {
	client := redis.NewClient(&redis.Options{Addr: in.redis.Addr, Password: in.redisPassword})
	in.t.Cleanup(func() { _ = client.Close() })
	return client
}

// freeAddress is where nobody listens.
func (in *installation) freeAddress() string {
	port, err := servers.FreePort()
	if err != nil {
		in.t.Fatal(err)
	}
	return fmt.Sprint("127.0.0.1:", port)
}
