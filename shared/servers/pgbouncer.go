package servers

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// PgBouncer is a private PgBouncer in front of a private Postgres. Every role
// of that Postgres gets in, without a password.
type PgBouncer struct {
	server
	Dir  string
	Port int
}

// StartPgBouncer starts a PgBouncer in dir with Omnibus GitLab's defaults,
// after which come settings such as "pool_mode=session". As root it runs as
// postgres or nobody, with the same needs as [StartPostgres]; dir must be
// another one than upstream's.
func StartPgBouncer(ctx context.Context, dir string, upstream *Postgres, settings ...string) (*PgBouncer, error) {
	pgbouncer, err := find("pgbouncer", "pgbouncer", "/usr/sbin")
	if err != nil {
		return nil, err
	}
	b := &PgBouncer{Dir: dir}
	err = b.startOnFreePort(ctx, func(port int) (program, error) {
		b.Port = port
		config, err := writePgBouncerConfig(dir, port, upstream.Port, settings)
		if err != nil {
			return program{}, err
		}
		drop, err := dropRoot(dir)
		if err != nil {
			return program{}, err
		}
		return program{
			command: func() *exec.Cmd {
				cmd := exec.Command(pgbouncer, config)
				drop(cmd)
				return cmd
			},
			log:     filepath.Join(dir, "pgbouncer.log"),
			signals: signals{stop: syscall.SIGTERM, kill: syscall.SIGKILL},
			ready:   func(ctx context.Context, pid int) error { return pgBouncerReady(ctx, dir, pid, port) },
		}, nil
	})
	if err != nil {
		return nil, err
	}
	return b, nil
}

// Database returns the superuser's URL for a database, through PgBouncer.
func (b *PgBouncer) Database(name string) string {
	return postgresURL(b.Port, name)
}

const pgBouncerConfig = `[databases]
* = host=127.0.0.1 port=%d auth_user=postgres

[pgbouncer]
listen_addr = 127.0.0.1
listen_port = %d
unix_socket_dir =
pidfile = %s
auth_type = trust
auth_file = %s
pool_mode = transaction
ignore_startup_parameters = extra_float_digits
max_client_conn = 2048
default_pool_size = 100
%s
`

func writePgBouncerConfig(dir string, port, upstreamPort int, settings []string) (path string, err error) {
	users := filepath.Join(dir, "userlist.txt")
	if err := os.WriteFile(users, []byte(`"postgres" ""`+"\n"), 0o600); err != nil {
		return "", err
	}
	text := fmt.Sprintf(pgBouncerConfig, upstreamPort, port, pgBouncerPIDFile(dir), users, strings.Join(settings, "\n"))
	path = filepath.Join(dir, "pgbouncer.ini")
	return path, os.WriteFile(path, []byte(text), 0o600)
}

func pgBouncerPIDFile(dir string) string { return filepath.Join(dir, "pgbouncer.pid") }

// pgBouncerReady takes the file with the process's number, which is written
// once the port is PgBouncer's own, for its identity.
func pgBouncerReady(ctx context.Context, dir string, pid, port int) error {
	text, err := os.ReadFile(pgBouncerPIDFile(dir))
	if err != nil {
		return err
	}
	if string(bytes.TrimSpace(text)) != strconv.Itoa(pid) {
		return errors.New("not up yet")
	}
	return dial(ctx, port)
}
