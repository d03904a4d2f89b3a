package servers

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
)

// Postgres is a private cluster. Its superuser is postgres, without a
// password; encoding UTF8, collation C.
type Postgres struct {
	server
	URL  string // of the superuser and the database postgres
	Dir  string
	Port int
}

// postgresFolders are where Debian and brew put what PATH has not.
var postgresFolders = []string{
	"/usr/lib/postgresql/*/bin",
	"/opt/homebrew/opt/postgresql@*/bin",
	"/usr/local/opt/postgresql@*/bin",
}

// StartPostgres makes a cluster in dir/data, unless there is one, and starts
// it with settings such as "fsync=off". As root it runs as postgres or nobody:
// dir then becomes that user's, and the folders above it must be open to all.
func StartPostgres(ctx context.Context, dir string, settings ...string) (*Postgres, error) {
	initdb, err := findInitdb()
	if err != nil {
		return nil, err
	}
	drop, err := dropRoot(dir)
	if err != nil {
		return nil, err
	}
	data := filepath.Join(dir, "data")
	if err := createCluster(ctx, initdb, data, drop); err != nil {
		return nil, err
	}
	postgres := filepath.Join(filepath.Dir(initdb), "postgres")
	p := &Postgres{Dir: dir}
	err = p.startOnFreePort(ctx, func(port int) (program, error) {
		p.Port = port
		return postgresProgram(dir, data, port, func() *exec.Cmd {
			cmd := exec.Command(postgres, postgresArgs(data, port, settings)...)
			drop(cmd)
			return cmd
		}), nil
	})
	if err != nil {
		return nil, err
	}
	p.URL = p.Database("postgres")
	return p, nil
}

// Database returns the superuser's URL for a database, which need not exist.
func (p *Postgres) Database(name string) string {
	return postgresURL(p.Port, name)
}

func postgresURL(port int, database string) string {
	u := url.URL{
		Scheme:   "postgres",
		User:     url.User("postgres"),
		Host:     loopback(port),
		Path:     "/" + database,
		RawQuery: "sslmode=disable",
	}
	return u.String()
}

func createCluster(ctx context.Context, initdb, data string, drop func(*exec.Cmd)) error {
	if _, err := os.Stat(filepath.Join(data, "PG_VERSION")); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	cmd := exec.CommandContext(ctx, initdb, "--pgdata="+data, "--username=postgres", "--auth=trust",
		"--encoding=UTF8", "--locale=C", "--no-sync", "--no-instructions")
	cmd.Dir = filepath.Dir(data)
	drop(cmd)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("initdb: %w\n%s", err, out)
	}
	return nil
}

// findInitdb follows links: postgres is beside the real one.
func findInitdb() (string, error) {
	initdb, err := find("initdb", "postgresql", postgresFolders...)
	if err != nil {
		return "", err
	}
	return filepath.EvalSymlinks(initdb)
}

func postgresProgram(dir, data string, port int, command func() *exec.Cmd) program {
	return program{
		command: command,
		log:     filepath.Join(dir, "postgres.log"),
		// Fast shutdown; immediate shutdown, which ends the workers too and,
		// like a crash, leaves recovery to the next start.
		signals: signals{stop: syscall.SIGINT, kill: syscall.SIGQUIT},
		ready:   func(ctx context.Context, pid int) error { return postgresReady(ctx, data, pid, port) },
	}
}

// postgresArgs has the given settings last, where they win.
func postgresArgs(data string, port int, settings []string) []string {
	args := []string{"-D", data}
	own := []string{
		"listen_addresses=127.0.0.1",
		"port=" + strconv.Itoa(port),
		"unix_socket_directories=",
		"max_connections=200",
		"shared_buffers=64MB",
	}
	for _, setting := range append(own, settings...) {
		args = append(args, "-c", setting)
	}
	return args
}

// postgresReady reads the state where Postgres leaves it for its own pg_ctl:
// unlike a connection it cannot be another server's.
func postgresReady(ctx context.Context, data string, pid, port int) error {
	text, err := os.ReadFile(filepath.Join(data, "postmaster.pid"))
	if err != nil {
		return err
	}
	lines := bytes.Split(text, []byte("\n"))
	const pidLine, stateLine = 0, 7
	if len(lines) <= stateLine || string(lines[pidLine]) != strconv.Itoa(pid) {
		return errors.New("not up yet")
	}
	switch state := string(bytes.TrimSpace(lines[stateLine])); state {
	case "ready", "standby":
		return dial(ctx, port)
	default:
		return fmt.Errorf("state %q", state)
	}
}

func dial(ctx context.Context, port int) error {
	var d net.Dialer
	conn, err := d.DialContext(ctx, "tcp", loopback(port))
	if err != nil {
		return err
	}
	return conn.Close()
}
