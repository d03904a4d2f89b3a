package cmd_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"regmend/cmd"
	"regmend/shared/servers"
	"regmend/shared/servers/redistest"
)

func TestRedisOverTLSAsAnACLUser(t *testing.T) {
	dir := t.TempDir()
	files := certify(t, dir)
	port := freePort(t)
	redistest.Start(t,
		"--tls-port", port, "--tls-cert-file", files.cert, "--tls-key-file", files.key,
		"--tls-ca-cert-file", files.cert, "--tls-auth-clients", "yes",
		"--user", "default", "off", "--user", "regmend", "on", ">s3cret/@:", "~regmend:*", "+@all")

	const user = "regmend:s3cret%2F%40%3A@"
	tls := fmt.Sprintf("?ca_file=%s&cert_file=%s&key_file=%s", files.cert, files.cert, files.key)
	if err := ping(t, "rediss://"+user+"127.0.0.1:"+port+"/0"+tls); err != nil {
		t.Errorf("the right user over TLS: %v", err)
	}
	for name, url := range map[string]string{
		"a certificate nobody vouches for": "rediss://" + user + "127.0.0.1:" + port,
		"no certificate of our own":        "rediss://" + user + "127.0.0.1:" + port + "/0?ca_file=" + files.cert,
		"a name that is not in it":         "rediss://" + user + "127.0.0.1:" + port + "/0" + tls + "&server_name=other.example.com",
		"no TLS":                           "redis://" + user + "127.0.0.1:" + port,
		"no user":                          "rediss://127.0.0.1:" + port + "/0" + tls,
		"a wrong password":                 "rediss://regmend:wrong@127.0.0.1:" + port + "/0" + tls,
	} {
		t.Run(name, func(t *testing.T) {
			if err := ping(t, url); err == nil {
				t.Error("it was let in")
			}
		})
	}
}

func TestRedisBySentinelWithItsOwnCredentials(t *testing.T) {
	master := redistest.Start(t, "--user", "default", "off", "--user", "regmend", "on", ">master", "~*", "&*", "+@all")
	sentinel, err := servers.StartSentinel(t.Context(), t.TempDir(), master.Addr, "mymaster",
		"sentinel auth-user mymaster regmend", "sentinel auth-pass mymaster master",
		"user default off", "user watcher on >guard ~* &* +@all")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = sentinel.Stop() })

	url := "redis+sentinel://regmend:master@127.0.0.1:1," + sentinel.Addr + "/mymaster/3"
	if err := ping(t, url+"?sentinel_username=watcher&sentinel_password=guard"); err != nil {
		t.Errorf("the right users: %v", err)
	}
	for name, url := range map[string]string{
		"no credentials for Sentinel":   url,
		"a master Sentinel knows not":   "redis+sentinel://regmend:master@" + sentinel.Addr + "/other?sentinel_username=watcher&sentinel_password=guard",
		"no credentials for the master": "redis+sentinel://" + sentinel.Addr + "/mymaster?sentinel_username=watcher&sentinel_password=guard",
	} {
		t.Run(name, func(t *testing.T) {
			if err := ping(t, url); err == nil {
				t.Error("it was let in")
			}
		})
	}
}

func TestP17_RedisURLsThatCannotBe(t *testing.T) {
	for name, c := range map[string]struct{ url, want string }{
		"another scheme":                {"http://host", "must begin with redis://"},
		"no scheme":                     {"host:6379", "must begin with redis://"},
		"no host":                       {"redis://", "names no host"},
		"a database by name":            {"redis://host/main", "number of a database"},
		"several hosts":                 {"redis://a,b/0", "several hosts"},
		"no master":                     {"redis+sentinel://a,b", "names no master"},
		"tls neither way":               {"redis+sentinel://a/m/0?tls=maybe", "true or false"},
		"an option unknown":             {"redis://host/0?pool=3", `the option "pool"`},
		"TLS options without it":        {"redis://host/0?ca_file=/ca.pem", `the option "ca_file"`},
		"no such CA file":               {"rediss://host/0?ca_file=/nowhere/ca.pem", "/nowhere/ca.pem"},
		"a key without its certificate": {"rediss://host/0?key_file=/nowhere/key.pem", "cert_file and key_file"},
		"a slash in the password":       {"redis://user:p/s3cret@host/0", "%2F"},
		"a bad escape":                  {"redis://user:%zzs3cret@host/0", "%XX"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := cmd.NewRedis(c.url)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("NewRedis() = %v, want %q in it", err, c.want)
			}
			if err != nil && strings.Contains(err.Error(), "s3cret") {
				t.Errorf("P16: the error has the password: %v", err)
			}
		})
	}
}

func ping(t *testing.T, url string) error {
	t.Helper()
	rdb, err := cmd.NewRedis(url)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = rdb.Close() }()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	return rdb.Set(ctx, "regmend:test", 1, time.Minute).Err()
}

func freePort(t *testing.T) string {
	t.Helper()
	port, err := servers.FreePort()
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprint(port)
}

type certificate struct{ cert, key string }

// certify writes a certificate for 127.0.0.1 that vouches for itself.
func certify(t *testing.T, dir string) certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber:          big.NewInt(1),
		Subject:               pkix.Name{CommonName: "redis"},
		NotBefore:             time.Now().Add(-time.Hour),
		NotAfter:              time.Now().Add(time.Hour),
		IPAddresses:           []net.IP{net.IPv4(127, 0, 0, 1)},
		KeyUsage:              x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
		ExtKeyUsage:           []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
		BasicConstraintsValid: true,
		IsCA:                  true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	files := certificate{filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")}
	writePEM(t, files.cert, "CERTIFICATE", der)
	writePEM(t, files.key, "PRIVATE KEY", keyDER)
	return files
}

func writePEM(t *testing.T, file, kind string, der []byte) {
	t.Helper()
	content := pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
	if err := os.WriteFile(file, content, 0o644); err != nil {
		t.Fatal(err)
	}
}
