package cmd

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"
)

// newRedis makes a client for a URL that parseRedisURL understands. It
// connects when first used.
func newRedis(raw string) (redis.UniversalClient, error) {
	options, err := parseRedisURL(raw)
	if err != nil {
		return nil, err
	}
	options.DialTimeout = 5 * time.Second
	options.DialerRetries = 1 // commands are retried already
	options.ReadTimeout = 3 * time.Second
	options.WriteTimeout = 3 * time.Second
	// A deadline of ours, such as a slot's lease, ends a command in mid-air.
	options.ContextTimeoutEnabled = true
	// Managed services' notices of maintenance need a command plain Redis lacks.
	options.MaintNotificationsConfig = &maintnotifications.Config{Mode: maintnotifications.ModeDisabled}
	return redis.NewUniversalClient(options), nil
}

// Ports that go without saying.
const (
	redisPort    = "6379"
	sentinelPort = "26379"
)

// parseRedisURL understands
//
//	redis://user:password@host:6379/0
//	rediss://user:password@host:6379/0?ca_file=…&cert_file=…&key_file=…&server_name=…
//	redis+sentinel://user:password@host1:26379,host2:26379/master/0?sentinel_username=…&sentinel_password=…&tls=true
//
// where the options of rediss go with tls=true as well. Its errors never
// repeat the URL.
func parseRedisURL(raw string) (*redis.UniversalOptions, error) {
	scheme, rest, ok := strings.Cut(raw, "://")
	if !ok {
		return nil, errRedisScheme
	}
	rest, query, _ := strings.Cut(rest, "?")
	values, err := url.ParseQuery(query)
	if err != nil {
		return nil, errNoURL
	}
	user, hosts, path, err := splitAuthority(rest)
	if err != nil {
		return nil, err
	}
	options := &redis.UniversalOptions{Username: user.name, Password: user.password}
	if hosts == "" {
		return nil, errors.New("names no host")
	}
	if err := checkHosts(hosts); err != nil {
		return nil, err
	}
	q := redisQuery{values: values}
	switch scheme {
	case "redis", "rediss":
		err = serverOptions(options, hosts, path, scheme == "rediss", &q)
	case "redis+sentinel":
		err = sentinelOptions(options, hosts, path, &q)
	default:
		err = errRedisScheme
	}
	if err == nil {
		err = q.rest()
	}
	return options, err
}

var errRedisScheme = errors.New("must begin with redis://, rediss:// or redis+sentinel://")

type credentials struct{ name, password string }

// splitAuthority splits what stands between "://" and "?".
func splitAuthority(rest string) (user credentials, hosts, path string, err error) {
	authority, path, _ := strings.Cut(rest, "/")
	at := strings.LastIndex(authority, "@")
	hosts = authority[at+1:]
	// A slash in a password cuts the authority before its "@".
	if strings.Contains(path, "@") {
		return user, "", "", errNoURL
	}
	if at < 0 {
		return user, hosts, path, nil
	}
	name, password, _ := strings.Cut(authority[:at], ":")
	user.name, err = url.PathUnescape(name)
	if err != nil {
		return user, "", "", errNoURL
	}
	user.password, err = url.PathUnescape(password)
	if err != nil {
		return user, "", "", errNoURL
	}
	return user, hosts, path, nil
}

func serverOptions(options *redis.UniversalOptions, host, path string, secure bool, q *redisQuery) (err error) {
	if strings.Contains(host, ",") {
		return errors.New("names several hosts, which only redis+sentinel:// does")
	}
	options.Addrs = []string{withPort(host, redisPort)}
	options.DB, err = databaseNumber(path)
	if err != nil {
		return err
	}
	if secure {
		options.TLSConfig, err = q.tls()
	}
	return err
}

func sentinelOptions(options *redis.UniversalOptions, hosts, path string, q *redisQuery) (err error) {
	for host := range strings.SplitSeq(hosts, ",") {
		options.Addrs = append(options.Addrs, withPort(host, sentinelPort))
	}
	master, number, _ := strings.Cut(path, "/")
	if master == "" {
		return errors.New("names no master: write redis+sentinel://host:26379/master/0")
	}
	options.MasterName = master
	options.SentinelUsername = q.take("sentinel_username")
	options.SentinelPassword = q.take("sentinel_password")
	options.DB, err = databaseNumber(number)
	if err != nil {
		return err
	}
	switch secure := q.take("tls"); secure {
	case "", "false":
		return nil
	case "true":
		options.TLSConfig, err = q.tls()
		return err
	default:
		return errors.New("its option tls must be true or false")
	}
}

func databaseNumber(path string) (int, error) {
	if path == "" {
		return 0, nil
	}
	n, err := strconv.ParseUint(path, 10, 31)
	if err != nil {
		return 0, errors.New("the last part of its path must be the number of a database, such as /0")
	}
	return int(n), nil
}

func withPort(host, port string) string {
	if _, _, err := net.SplitHostPort(host); err == nil {
		return host
	}
	return net.JoinHostPort(strings.Trim(host, "[]"), port)
}

// redisQuery hands out a URL's options, each once.
type redisQuery struct{ values url.Values }

func (q *redisQuery) take(name string) string {
	value := q.values.Get(name)
	q.values.Del(name)
	return value
}

// rest complains of options that nobody took.
func (q *redisQuery) rest() error {
	for name := range q.values {
		return fmt.Errorf("does not know the option %q here: for TLS ca_file, cert_file, key_file, server_name; for Sentinel sentinel_username, sentinel_password, tls", name)
	}
	return nil
}

func (q *redisQuery) tls() (*tls.Config, error) {
	config := &tls.Config{MinVersion: tls.VersionTLS12, ServerName: q.take("server_name")}
	if file := q.take("ca_file"); file != "" {
		pem, err := os.ReadFile(file)
		if err != nil {
			return nil, fmt.Errorf("its ca_file: %w", err)
		}
		config.RootCAs = x509.NewCertPool()
		if !config.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("its ca_file %s holds no certificate (PEM)", file)
		}
	}
	cert, key := q.take("cert_file"), q.take("key_file")
	if cert == "" && key == "" {
		return config, nil
	}
	pair, err := tls.LoadX509KeyPair(cert, key)
	if err != nil {
		return nil, fmt.Errorf("its cert_file and key_file: %w", err)
	}
	config.Certificates = []tls.Certificate{pair}
	return config, nil
}
