package servers

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// Sentinel is a private Redis Sentinel that watches one master by itself.
type Sentinel struct {
	server
	Addr string
	Dir  string
	Port int
}

// StartSentinel starts a Sentinel in dir that knows the master at masterAddr
// under masterName, with further lines of sentinel.conf, such as
// "requirepass secret" or "sentinel auth-pass NAME secret".
func StartSentinel(ctx context.Context, dir, masterAddr, masterName string, lines ...string) (*Sentinel, error) {
	sentinel, err := find("redis-sentinel", "redis-sentinel")
	if err != nil {
		return nil, err
	}
	host, port, err := net.SplitHostPort(masterAddr)
	if err != nil {
		return nil, fmt.Errorf("address of the master: %w", err)
	}
	watch := fmt.Sprintf("sentinel monitor %s %s %s 1", masterName, host, port)
	s := &Sentinel{Dir: dir}
	config := filepath.Join(dir, "sentinel.conf")
	err = s.startOnFreePort(ctx, func(port int) (program, error) {
		s.Port = port
		own := []string{"bind 127.0.0.1", fmt.Sprint("port ", port), "dir " + dir, "daemonize no", watch}
		text := strings.Join(append(own, lines...), "\n") + "\n"
		if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
			return program{}, err
		}
		return redisProgram(port, filepath.Join(dir, "sentinel.log"), func() *exec.Cmd {
			return exec.Command(sentinel, config)
		}), nil
	})
	if err != nil {
		return nil, err
	}
	s.Addr = loopback(s.Port)
	return s, nil
}
