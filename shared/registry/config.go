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

	"github.com/sirupsen/logrus"
)

// maxPageSize is the largest page either API gives.
const maxPageSize = 1000

func (cfg Config) withDefaults() Config {
	if cfg.API == "" {
		cfg.API = Auto
	}
	if cfg.TokenIssuer == "" {
		cfg.TokenIssuer = "gitlab-issuer"
	}
	if cfg.TokenService == "" {
		cfg.TokenService = "container_registry"
	}
	if cfg.PageSize == nil {
		cfg.PageSize = func() int { return maxPageSize }
	}
	if cfg.RequestTimeout == 0 {
		cfg.RequestTimeout = 30 * time.Second
	}
	if cfg.ProjectTimeout == 0 {
		cfg.ProjectTimeout = 10 * time.Minute
	}
	if cfg.MaxBody == 0 {
		cfg.MaxBody = 8 << 20
	}
	if cfg.Admit == nil {
		cfg.Admit = func(context.Context) error { return nil }
	}
	if cfg.Observe == nil {
		cfg.Observe = func(Answered) {}
	}
	if cfg.Log == nil {
		cfg.Log = &logrus.Logger{Out: io.Discard, Formatter: new(logrus.TextFormatter), Level: logrus.PanicLevel}
	}
	return cfg
}

// validate gives the origin and prefix of the registry, or one line for each
// fault. No line repeats a URL, which might hold a password.
func (cfg Config) validate() (*url.URL, error) {
	base, err := parseBase("registry URL", cfg.URL)
	faults := []error{err}
	fault := func(format string, args ...any) { faults = append(faults, fmt.Errorf(format, args...)) }
	switch cfg.API {
	case "", Auto, GitLab, Distribution:
	default:
		fault("registry API %q: use %s, %s or %s", cfg.API, Auto, GitLab, Distribution)
	}
	if cfg.TokenRealm != "" {
		_, err := parseBase("token realm", cfg.TokenRealm)
		faults = append(faults, err)
	}
	if (cfg.Username == "") != (cfg.Password == "") {
		fault("registry user name and password: set both or neither")
	}
	if cfg.Username != "" && cfg.TokenKeyFile != "" {
		fault("registry credentials: set a user name and password or a token key file, not both")
	}
	if cfg.RequestTimeout < 0 || cfg.ProjectTimeout < 0 || cfg.MaxBody < 0 {
		fault("registry timeouts and limits must not be negative")
	}
	if base != nil {
		faults = append(faults, checkProxy(base))
	}
	return base, errors.Join(faults...)
}

// checkProxy sees to it that the proxy variables can be used. They are read
// once; an address that cannot be parsed would come up, with its password, in
// the error of each request.
func checkProxy(base *url.URL) error {
	if _, err := http.ProxyFromEnvironment(&http.Request{URL: base}); err != nil {
		return errors.New("the proxy set in the environment (HTTP_PROXY, HTTPS_PROXY) is not a valid URL")
	}
	return nil
}

func parseBase(what, raw string) (*url.URL, error) {
	u, err := url.Parse(raw)
	switch {
	case raw == "":
		return nil, fmt.Errorf("%s is not set: give it as https://host[:port][/prefix]", what)
	case err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Hostname() == "":
		return nil, fmt.Errorf("%s is not of the form https://host[:port][/prefix]", what)
	case u.User != nil:
		return nil, fmt.Errorf("%s must not hold a user name or password: set them by themselves", what)
	case u.RawQuery != "" || u.Fragment != "":
		return nil, fmt.Errorf("%s must not have a query or fragment", what)
	}
	return &url.URL{Scheme: u.Scheme, Host: strings.ToLower(u.Host), Path: strings.TrimRight(u.Path, "/")}, nil
}
