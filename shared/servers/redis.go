package servers

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// Redis is a private Redis. It keeps nothing on disk unless told to.
type Redis struct {
	server
	URL  string // without a password, even if arguments set one
	Addr string
	Dir  string
	Port int
}

// StartRedis starts a Redis in dir with arguments of redis-server, such as
// "--appendonly", "yes". It always listens without TLS too, beside a
// "--tls-port" of the caller's.
func StartRedis(ctx context.Context, dir string, args ...string) (*Redis, error) {
	redisServer, err := find("redis-server", "redis-server")
	if err != nil {
		return nil, err
	}
	r := &Redis{Dir: dir}
	err = r.startOnFreePort(ctx, func(port int) (program, error) {
		r.Port = port
		own := []string{
			"--bind", "127.0.0.1", "--port", strconv.Itoa(port), "--dir", dir,
			"--save", "", "--appendonly", "no", "--daemonize", "no",
		}
		return redisProgram(port, filepath.Join(dir, "redis.log"), func() *exec.Cmd {
			return exec.Command(redisServer, append(own, args...)...)
		}), nil
	})
	if err != nil {
		return nil, err
	}
	r.Addr = loopback(r.Port)
	r.URL = "redis://" + r.Addr + "/0"
	return r, nil
}

func redisProgram(port int, log string, command func() *exec.Cmd) program {
	return program{
		command: command,
		log:     log,
		signals: signals{stop: syscall.SIGTERM, kill: syscall.SIGKILL},
		ready:   func(ctx context.Context, pid int) error { return redisReady(ctx, port, pid) },
	}
}

// redisReady asks for the number of the process that answers. One that wants
// a password does not tell, and is believed to be ours.
func redisReady(ctx context.Context, port, pid int) error {
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	var d net.Dialer
	conn, err := d.DialContext(ctx, "tcp", loopback(port))
	if err != nil {
		return err
	}
	defer conn.Close() //nolint:errcheck // nothing is left to be written
	if deadline, ok := ctx.Deadline(); ok {
		if err := conn.SetDeadline(deadline); err != nil {
			return err
		}
	}
	if _, err := io.WriteString(conn, "INFO\r\n"); err != nil {
		return err
	}
	return checkInfo(bufio.NewReader(conn), pid)
}

func checkInfo(answer *bufio.Reader, pid int) error {
	first, err := answer.ReadString('\n')
	if err != nil {
		return err
	}
	if strings.HasPrefix(first, "-NOAUTH") || strings.HasPrefix(first, "-NOPERM") {
		return nil
	}
	size, err := strconv.Atoi(strings.TrimSpace(strings.TrimPrefix(first, "$")))
	if err != nil {
		return errors.New(strings.TrimSpace(first))
	}
	info := make([]byte, size)
	if _, err := io.ReadFull(answer, info); err != nil {
		return err
	}
	if strings.Contains(string(info), "\nloading:1") {
		return errors.New("loading its data")
	}
	if !strings.Contains(string(info), fmt.Sprintf("\nprocess_id:%d\r", pid)) {
		return errors.New("another server has the port")
	}
	return nil
}
