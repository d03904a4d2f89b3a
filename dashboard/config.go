package dashboard

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
)

// Config is how the pages may be used. Its zero value is not valid: Listen
// decides whether a login is needed.
type Config struct {
	// Listen is the address the pages will be served at, host:port. Anything
	// but a loopback address or "localhost" needs a login: other names, an
	// empty host, 0.0.0.0 and :: all count as open to the network.
	Listen string
	// Username and Password are the login; both or none.
	Username, Password string
	// AllowWrites lets asynqmon's pages pause queues, delete tasks and so on.
	AllowWrites bool
	// Version of the program, shown at the foot of the overview.
	Version string
}

// Validate says in one line what is wrong, and what to do about it.
func (c Config) Validate() error {
	host, _, err := net.SplitHostPort(c.Listen)
	if err != nil {
		return fmt.Errorf("listen address %q is not host:port: %w", c.Listen, err)
	}
	switch {
	case (c.Username == "") != (c.Password == ""):
		return errors.New("a login needs both REGMEND_WEB_USERNAME and REGMEND_WEB_PASSWORD")
	case strings.Contains(c.Username, ":"):
		return errors.New("REGMEND_WEB_USERNAME must not contain a colon: HTTP cannot carry it")
	case !c.login() && !loopback(host):
		return fmt.Errorf("listening at %s is open to the network and needs a login: set REGMEND_WEB_USERNAME and REGMEND_WEB_PASSWORD, or listen at 127.0.0.1", c.Listen)
	}
	return nil
}

func (c Config) login() bool { return c.Username != "" }

// loopback tells whether only this machine can reach host. Names other than
// localhost are not looked up: what they stand for may change after the check.
func loopback(host string) bool {
	name := strings.ToLower(strings.TrimSuffix(host, "."))
	if name == "localhost" || strings.HasSuffix(name, ".localhost") {
		return true
	}
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.Unmap().IsLoopback()
}
