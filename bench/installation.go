package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"regmend/schema"
	"regmend/shared/servers"

	"github.com/jmoiron/sqlx"
	// The driver with which the bench looks at the database.
	_ "github.com/lib/pq"
	"github.com/redis/go-redis/v9"
	"golang.org/x/sync/errgroup"
)

// installation is a GitLab's Postgres, a Redis and the stub, and one database
// with the projects of a shape.
type installation struct {
	dir      string
	program  string // regmend
	postgres *servers.Postgres
	redis    *servers.Redis
	stub     *stubProcess
	rdb      *redis.Client

	versions struct{ postgres, redis string }

	databases int
	database  string
	shape     shape
	sql       *sqlx.DB
}

// postgresSettings are an ordinary server's: what is committed is on disk.
var postgresSettings = []string{
	"shared_buffers=512MB",
	"max_wal_size=4GB",
	"checkpoint_timeout=30min",
	"shared_preload_libraries=pg_stat_statements",
	"pg_stat_statements.track=top",
	// It tells when the last row was there, without being asked all the time.
	"track_commit_timestamp=on",
	// No vacuum in the middle of one contestant's round and not of the other's.
	"autovacuum=off",
}

func newInstallation(ctx context.Context, program string) (*installation, error) {
	program, err := filepath.Abs(program)
	if err != nil {
		return nil, err
	}
	if _, err := os.Stat(program); err != nil {
		return nil, fmt.Errorf("%w: make build makes it", err)
	}
	dir, err := os.MkdirTemp("", "regmend-bench-")
	if err != nil {
		return nil, err
	}
	in := &installation{dir: dir, program: program}
	// Postgres, which does not run as root, has to get to its own part.
	if err := errors.Join(os.Chmod(dir, 0o711), in.start(ctx)); err != nil {
		return nil, errors.Join(err, in.end())
	}
	return in, nil
}

func (in *installation) start(ctx context.Context) error {
	var starts errgroup.Group
	for name, start := range map[string]func(dir string) error{
		"postgres": func(dir string) (err error) {
			in.postgres, err = servers.StartPostgres(ctx, dir, postgresSettings...)
			return err
		},
		"redis": func(dir string) (err error) {
			in.redis, err = servers.StartRedis(ctx, dir, "--appendonly", "yes", "--maxmemory-policy", "noeviction")
			return err
		},
		"stub": func(dir string) (err error) {
			in.stub, err = startStub(ctx, dir)
			return err
		},
	} {
		starts.Go(func() error {
			dir := filepath.Join(in.dir, name)
			if err := os.Mkdir(dir, 0o755); err != nil {
				return err
			}
			return start(dir)
		})
	}
	if err := starts.Wait(); err != nil {
		return err
	}
	in.rdb = redis.NewClient(&redis.Options{Addr: in.redis.Addr})
	return in.readVersions(ctx)
}

func (in *installation) readVersions(ctx context.Context) error {
	info, err := in.rdb.InfoMap(ctx, "server").Result()
	if err != nil {
		return err
	}
	in.versions.redis = info["Server"]["redis_version"]
	if err := in.calm(ctx); err != nil {
		return err
	}
	admin, err := sqlx.Open("postgres", in.postgres.URL)
	if err != nil {
		return err
	}
	defer admin.Close()
	return admin.GetContext(ctx, &in.versions.postgres, `SELECT split_part(current_setting('server_version'), ' ', 1)`)
}

// end stops everything and removes the folder.
func (in *installation) end() error {
	var errs []error
	if in.sql != nil {
		errs = append(errs, in.sql.Close())
	}
	if in.rdb != nil {
		errs = append(errs, in.rdb.Close())
	}
	if in.stub != nil {
		errs = append(errs, in.stub.Kill())
	}
	if in.redis != nil {
		errs = append(errs, in.redis.Kill())
	}
	if in.postgres != nil {
		errs = append(errs, in.postgres.Kill())
	}
	return errors.Join(append(errs, os.RemoveAll(in.dir))...)
}

// fill makes a database with projects of that shape and regmend's schema the
// installation's, and drops the one before.
func (in *installation) fill(ctx context.Context, s shape) error {
	if in.sql != nil && in.shape == s {
		return nil
	}
	old := in.database
	in.databases++
	in.database, in.shape = fmt.Sprint("gitlab_", in.databases), s
	if err := in.create(ctx, old); err != nil {
		return err
	}
	for _, statement := range []string{schema.GitLab, `CREATE EXTENSION pg_stat_statements`, createShipped} {
		if _, err := in.sql.ExecContext(ctx, statement); err != nil {
			return err
		}
	}
	if err := s.insert(ctx, in.sql); err != nil {
		return err
	}
	return in.regmend(ctx, "migrate")
}

func (in *installation) create(ctx context.Context, old string) error {
	if in.sql != nil {
		if err := in.sql.Close(); err != nil {
			return err
		}
	}
	admin, err := sqlx.Open("postgres", in.postgres.URL)
	if err != nil {
		return err
	}
	defer admin.Close()
	if _, err := admin.ExecContext(ctx, `CREATE DATABASE `+in.database); err != nil {
		return err
	}
	if old != "" {
		if _, err := admin.ExecContext(ctx, `DROP DATABASE `+old+` WITH (FORCE)`); err != nil {
			return err
		}
	}
	// As regmend does it: a statement is one round trip, for GitLab's design, too.
	in.sql, err = sqlx.Open("postgres", in.postgres.Database(in.database)+"&binary_parameters=yes")
	return err
}

// variables are what regmend is told.
func (in *installation) variables() []string {
	return []string{
		"REGMEND_DATABASE_URL=" + in.postgres.Database(in.database),
		"REGMEND_REDIS_URL=" + in.redis.URL,
		"REGMEND_REGISTRY_URL=" + in.stub.url,
	}
}

// command is regmend with that command line.
func (in *installation) command(ctx context.Context, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, in.program, args...)
	cmd.Env = append([]string{"PATH=" + os.Getenv("PATH")}, in.variables()...)
	return cmd
}

// regmend runs a command to its end.
func (in *installation) regmend(ctx context.Context, args ...string) error {
	if out, err := in.command(ctx, args...).CombinedOutput(); err != nil {
		return fmt.Errorf("regmend %s: %w\n%s", strings.Join(args, " "), err, out)
	}
	return nil
}
