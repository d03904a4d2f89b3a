package main_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"testing"
	"time"

	"regmend/shared/gitlab/gitlabtest"
	"regmend/shared/registry/registrytest"
	"regmend/shared/servers"
	"regmend/shared/servers/redistest"

	"github.com/redis/go-redis/v9"
)

// A user who may touch regmend's keys and the queue's only, over TLS, with a
// certificate of the client's.
func TestRedisWithTLSAndACL(t *testing.T) {
	t.Parallel()
	in := newInstallation(t, registrytest.Options{})
	in.fill(gitlabtest.Generate(9, 400))
	cert, key := in.certificate()
	port, err := servers.FreePort()
	if err != nil {
		t.Fatal(err)
	}
	password := in.secret("password of the Redis user")
	redistest.Start(t, "--tls-port", fmt.Sprint(port), "--tls-cert-file", cert, "--tls-key-file", key,
		"--tls-ca-cert-file", cert, "--tls-auth-clients", "yes", "--user", "default", "off",
		"--user", "regmend", "on", ">"+password, "~regmend:*", "~asynq:*", "&asynq:*", "+@all", "-@admin", "-@dangerous", "+info")
	in.env["REGMEND_REDIS_URL"] = fmt.Sprintf("rediss://regmend:%s@localhost:%d/0?ca_file=%s&cert_file=%s&key_file=%s",
		password, port, cert, cert, key)
	in.migrate("max_concurrency", "3")
	in.analyse()
	in.run("doctor")
}

// certificate makes one that signs itself, for localhost.
func (in *installation) certificate() (cert, key string) {
	in.t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		in.t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1),
		Subject:      pkix.Name{CommonName: "localhost"},
		DNSNames:     []string{"localhost"},
		IPAddresses:  []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore:    time.Now().Add(-time.Hour),
		NotAfter:     time.Now().Add(time.Hour),
		IsCA:         true,
		KeyUsage:     x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
		ExtKeyUsage:  []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},

		BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, private.Public(), private)
	if err != nil {
		in.t.Fatal(err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		in.t.Fatal(err)
	}
	text := pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: secret})
	in.keepSecretPEM("key of the client certificate", text)
	return in.file("redis.crt", pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})), in.file("redis.key", text)
}

// The master dies in mid-run; Sentinel makes the replica the master.
func TestRedisFailsOverThroughSentinel(t *testing.T) {
	t.Parallel()
	in := newInstallation(t, registrytest.Options{Latency: 5 * time.Millisecond})
	in.fill(gitlabtest.Generate(10, 1_000))
	master, sentinel := in.startSentinel()
	in.migrate("lap_interval", "1s", "flush_after", "1s", "batch_size", "20", "max_concurrency", "3")
	in.start("producer", "--interval", "1s")
	in.begin(2)
	in.await("a part is analysed", time.Minute, func(s status) bool { return s.Completed >= s.Eligible/4 })
	if err := master.Kill(); err != nil {
		t.Fatal(err)
	}
	s := in.await("every project is analysed", 2*time.Minute, status.analysed)
	in.checkResults(s.Run)
	in.checkCap(3)
	if now := in.masterOf(sentinel); now == master.Addr {
		t.Errorf("the master is still %s", now)
	}
}

// startSentinel starts a master, a replica and a Sentinel that knows of both,
// all with passwords, and gives them to regmend.
func (in *installation) startSentinel() (master *servers.Redis, sentinel *redis.SentinelClient) {
	in.t.Helper()
	password, sentinelPassword := in.secret("redis password"), in.secret("sentinel password")
	master = redistest.Start(in.t, "--requirepass", password, "--masterauth", password)
	redistest.Start(in.t, "--requirepass", password, "--masterauth", password, "--replicaof", fmt.Sprint("127.0.0.1 ", master.Port))
	s, err := servers.StartSentinel(in.t.Context(), openFolder(in.t), master.Addr, "main",
		"requirepass "+sentinelPassword, "sentinel auth-pass main "+password,
		"sentinel down-after-milliseconds main 1000", "sentinel failover-timeout main 3000")
	if err != nil {
		in.t.Fatal(err)
	}
	in.t.Cleanup(func() { _ = s.Stop() })
	in.env["REGMEND_REDIS_URL"] = fmt.Sprintf("redis+sentinel://:%s@%s/main/0?sentinel_password=%s", password, s.Addr, sentinelPassword)

	sentinel = redis.NewSentinelClient(&redis.Options{Addr: s.Addr, Password: sentinelPassword})
	in.t.Cleanup(func() { _ = sentinel.Close() })
	in.eventually("Sentinel knows the replica, which is in step", 30*time.Second, func() (bool, string) {
		replicas, err := sentinel.Replicas(in.t.Context(), "main").Result()
		return err == nil && len(replicas) == 1 && replicas[0]["master-link-status"] == "ok", fmt.Sprint(replicas, err)
	})
	return master, sentinel
}

func (in *installation) masterOf(sentinel *redis.SentinelClient) string {
	in.t.Helper()
	address, err := sentinel.GetMasterAddrByName(in.t.Context(), "main").Result()
	if err != nil {
		in.t.Fatal(err)
	}
	return net.JoinHostPort(address[0], address[1])
}
