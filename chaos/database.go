package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"regmend/schema"
	"regmend/shared/servers"
	"regmend/shared/servers/proxy"

	"github.com/jmoiron/sqlx"
	// The driver with which the harness looks at the database.
	_ "github.com/lib/pq"
)

// database is GitLab's Postgres with a standby. regmend reaches it through a
// proxy and a PgBouncer.
type database struct {
	sql *sqlx.DB // the superuser's, straight to the primary

	primary *servers.Postgres
	standby *servers.Postgres
	bouncer *bouncer
	proxy   *proxy.Proxy
	dir     string   // of dumps
	runtime *sqlx.DB // as regmend gets there

	passwords map[string]string // of roles
}

const (
	databaseName = "gitlabhq_production"
	runtimeRole  = "regmend"
	ownerRole    = "regmend_owner"
)

// databaseSettings are Omnibus' timeouts; what is not synced survives the crash
// of a process, though not that of the machine.
var databaseSettings = []string{
	"fsync=off",
	"statement_timeout=60s",
	"idle_in_transaction_session_timeout=60s",
	// So that the harness knows from when on a change was seen.
	"track_commit_timestamp=on",
	// Long enough for the harness to close the circle before a flush looks.
	"deadlock_timeout=2s",
	"log_line_prefix=%m [%p] %u %e ",
	"log_min_error_statement=panic",
}

// startDatabase starts it with the world in GitLab's tables and nothing of
// regmend's.
func (in *installation) startDatabase(ctx context.Context) (*database, error) {
	d := &database{passwords: map[string]string{}}
	for _, role := range []string{ownerRole, runtimeRole} {
		d.passwords[role] = in.secret("password of the database role " + role)
	}
	for _, step := range []func(context.Context, *installation) error{
		d.startPrimary, d.populate, d.startStandby, d.startBouncer,
	} {
		if err := step(ctx, in); err != nil {
			return nil, errors.Join(err, d.stop())
		}
	}
	return d, nil
}

func (d *database) startPrimary(ctx context.Context, in *installation) error {
	dir, err := in.folder("postgres")
	if err != nil {
		return err
	}
	if d.primary, err = servers.StartPostgres(ctx, dir, databaseSettings...); err != nil {
		return err
	}
	d.sql, err = openDatabase(withParameters(d.primary.Database(databaseName)))
	return err
}

// withParameters lifts Omnibus' timeouts for the harness itself.
func withParameters(address string) string {
	return address + "&statement_timeout=0&idle_in_transaction_session_timeout=0"
}

func openDatabase(address string) (*sqlx.DB, error) { return sqlx.Open("postgres", address) }

// populate makes roles and GitLab's tables.
func (d *database) populate(ctx context.Context, in *installation) error {
	for _, statement := range []string{
		"CREATE ROLE " + ownerRole + " LOGIN", "CREATE ROLE " + runtimeRole + " LOGIN", "CREATE DATABASE " + databaseName,
	} {
		if err := d.admin(ctx, statement); err != nil {
			return err
		}
	}
	if _, err := d.sql.ExecContext(ctx, schema.GitLab); err != nil {
		return fmt.Errorf("make GitLab's tables: %w", err)
	}
	if err := in.world.Insert(ctx, d.sql); err != nil {
		return err
	}
	return d.grant(ctx, "owner", ownerRole)
}

// admin runs a statement in another database than GitLab's.
func (d *database) admin(ctx context.Context, statement string) error {
	db, err := openDatabase(withParameters(d.primary.URL))
	if err != nil {
		return err
	}
	defer db.Close()
	if _, err := db.ExecContext(ctx, statement); err != nil {
		return fmt.Errorf("%s: %w", statement, err)
	}
	return nil
}

// grantRuntime gives regmend's role what it needs, once there are its tables.
func (d *database) grantRuntime(ctx context.Context) error {
	return d.grant(ctx, "runtime", runtimeRole)
}

// grant runs one of the scripts for operators.
func (d *database) grant(ctx context.Context, script, role string) error {
	text, err := schema.Roles.ReadFile("roles/" + script + ".sql")
	if err != nil {
		return err
	}
	return runPostgres(ctx, text, "psql", "--no-psqlrc", "--quiet", "--set=role="+role, d.primary.Database(databaseName))
}

// runPostgres runs one of Postgres' programs, which Debian keeps out of PATH.
func runPostgres(ctx context.Context, input []byte, program string, args ...string) error {
	path, err := exec.LookPath(program)
	if err != nil {
		found, _ := filepath.Glob("/usr/lib/postgresql/*/bin/" + program)
		if len(found) == 0 {
			return &servers.MissingError{Program: program, Package: "postgresql-client"}
		}
		path = found[len(found)-1]
	}
	cmd := exec.CommandContext(ctx, path, args...)
	cmd.Stdin = bytes.NewReader(input)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w\n%s", program, err, out)
	}
	return nil
}

func (d *database) startBouncer(ctx context.Context, in *installation) error {
	dir, err := in.folder("pgbouncer")
	if err != nil {
		return err
	}
	if d.bouncer, err = startBouncer(ctx, dir, d.primary); err != nil {
		return err
	}
	if d.proxy, err = proxy.Start(onPort(d.bouncer.server.Port)); err != nil {
		return err
	}
	// Without a limit, the driver waits for ever for a PgBouncer that is silent.
	if d.runtime, err = openDatabase(d.url(runtimeRole) + "&connect_timeout=5"); err != nil {
		return err
	}
	d.runtime.SetMaxIdleConns(-1)
	d.dir, err = in.folder("dumps")
	return err
}

func onPort(port int) string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(port)) }

// url is of a role and leads through all that stands before the database.
func (d *database) url(role string) string {
	u := url.URL{
		Scheme: "postgres", Host: d.proxy.Addr(), Path: databaseName, RawQuery: "sslmode=disable",
		User: url.UserPassword(role, d.passwords[role]),
	}
	return u.String()
}

// env are the variables that tell regmend's processes of it.
func (d *database) env() map[string]string {
	return map[string]string{"REGMEND_DATABASE_URL": d.url(runtimeRole)}
}

// ownerURL is what `regmend migrate` is given.
func (d *database) ownerURL() string { return d.url(ownerRole) }

// stop also stops what was started in part.
func (d *database) stop() error {
	var errs []error
	for _, db := range []*sqlx.DB{d.sql, d.runtime} {
		if db != nil {
			errs = append(errs, db.Close())
		}
	}
	if d.proxy != nil {
		errs = append(errs, d.proxy.Close())
	}
	if d.bouncer != nil {
		errs = append(errs, d.bouncer.stop())
	}
	for _, server := range []*servers.Postgres{d.standby, d.primary} {
		if server != nil {
			errs = append(errs, server.Stop())
		}
	}
	return errors.Join(errs...)
}

// recovered returns when a transaction of regmend's role gets through again: a
// PgBouncer takes its time to try a server that failed.
func (d *database) recovered(ctx context.Context) (healed, error) {
	d.dropIdle()
	err := servers.Await(ctx, "the database answers through PgBouncer", time.Minute, func(ctx context.Context) (bool, error) {
		_, err := d.runtime.ExecContext(ctx, "SELECT 1")
		return err == nil, err
	})
	if err != nil {
		err = fmt.Errorf("%w; the end of PgBouncer's log:\n%s", err, d.bouncer.server.Tail())
	}
	return healed{since: time.Now()}, err
}

// dropIdle closes connections whose other end may be gone.
func (d *database) dropIdle() {
	d.sql.SetMaxIdleConns(-1)
	d.sql.SetMaxIdleConns(4)
}

// errorsOf counts the statements of regmend's that failed with the SQLSTATE, as
// the server logged them.
func (d *database) errorsOf(state string) (int, error) {
	text, err := os.ReadFile(filepath.Join(d.primary.Dir, "postgres.log"))
	if err != nil {
		return 0, err
	}
	prefix := "] " + runtimeRole + " " + state + " "
	return strings.Count(string(text), prefix+"ERROR:") + strings.Count(string(text), prefix+"FATAL:"), nil
}
