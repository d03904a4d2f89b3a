package cmd

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// carriesPassword tells whether a URL or connection string has a password in
// it. It would rather see one too many: it reads the text, as what cannot be
// parsed may hold one all the same.
func carriesPassword(raw string) bool {
	if strings.Contains(strings.ToLower(raw), "password=") {
		return true
	}
	_, rest, _ := strings.Cut(raw, "://")
	at := strings.LastIndex(rest, "@")
	return at >= 0 && strings.Contains(rest[:at], ":")
}

// errNoURL does not repeat the value, nor the parser's words: both may hold
// the password.
var errNoURL = errors.New("not a URL that can be read; in user name and password, write special characters as %XX (/ is %2F, @ is %40, : is %3A)")

func checkDatabaseURL(value string) error {
	scheme, rest, ok := strings.Cut(value, "://")
	if !ok || (scheme != "postgres" && scheme != "postgresql") {
		return errors.New("must begin with postgres:// or postgresql://")
	}
	rest, _, _ = strings.Cut(rest, "?")
	_, hosts, _, err := splitAuthority(rest)
	if err != nil {
		return err
	}
	return checkHosts(hosts)
}

// checkHosts finds what a password that was not escaped leaves where the ports
// should be.
func checkHosts(hosts string) error {
	for host := range strings.SplitSeq(hosts, ",") {
		_, port, ok := strings.Cut(host[strings.LastIndex(host, "]")+1:], ":")
		if _, err := strconv.ParseUint(port, 10, 16); ok && err != nil {
			return errNoURL
		}
	}
	return nil
}

func checkRedisURL(value string) error {
	_, err := parseRedisURL(value)
	return err
}

func checkGitLabURL(value string) error {
	if carriesPassword(value) {
		return errors.New("must not hold a user name or password: set them by themselves")
	}
	return checkRegistryURL(value)
}

func checkRegistryURL(value string) error {
	u, err := url.Parse(value)
	switch {
	case err != nil:
		return errNoURL
	case u.User != nil:
		return errors.New("has a user in it: set REGMEND_REGISTRY_USERNAME and REGMEND_REGISTRY_PASSWORD instead")
	case u.Scheme != "http" && u.Scheme != "https":
		return errors.New("must begin with https:// or http://")
	case u.Host == "":
		return errors.New("names no host")
	}
	return nil
}

func checkListen(value string) error {
	_, port, err := net.SplitHostPort(value)
	if err != nil {
		return fmt.Errorf("%q is no address: write host:port, such as 127.0.0.1:9780", value)
	}
	if n, err := strconv.Atoi(port); err != nil || n < 0 || n > 65535 {
		return fmt.Errorf("%q is no port", port)
	}
	return nil
}

func oneOf(allowed ...string) func(string) error {
	return func(value string) error {
		if !slices.Contains(allowed, value) {
			return fmt.Errorf("%q must be one of %s", value, strings.Join(allowed, ", "))
		}
		return nil
	}
}
