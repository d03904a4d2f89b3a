package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"

	"github.com/jmoiron/sqlx"
)

// cannotMount says why no small file system can be had here; "" where it can.
func cannotMount() string {
	if os.Geteuid() != 0 {
		return "only root can mount a small file system"
	}
	dir, err := os.MkdirTemp("", "regmend-chaos-mount-")
	if err != nil {
		return err.Error()
	}
	defer os.Remove(dir)
	ctx := context.Background()
	if err := errors.Join(mount(ctx, dir, "size=1m"), unmount(ctx, dir)); err != nil {
		return "no small file system can be mounted: " + err.Error()
	}
	return ""
}

func mount(ctx context.Context, dir, options string) error {
	return run(ctx, "mount", "-t", "tmpfs", "-o", options, "tmpfs", dir)
}

// unmount does not wait for those who have files open there.
func unmount(ctx context.Context, dir string) error { return run(ctx, "umount", "--lazy", dir) }

func run(ctx context.Context, program string, args ...string) error {
	if out, err := exec.CommandContext(ctx, program, args...).CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w: %s", program, err, out)
	}
	return nil
}

const diskFull = "53100"

// fillDisk lets the results be on a disk that is full.
func fillDisk(ctx context.Context, in *installation, dice *rand.Rand) (healed, error) {
	if err := in.working(ctx); err != nil {
		return healed{}, err
	}
	ids, err := in.analysed(ctx, dice, 100)
	if err != nil {
		return healed{}, err
	}
	if err := in.database.fill(ctx, in.feeding("a flush meets the full disk", ids)); err != nil {
		return healed{}, err
	}
	return in.database.recovered(ctx)
}

// fill fills the disk until statements of regmend's failed, which feed brings
// about.
func (d *database) fill(ctx context.Context, feed feeding) error {
	before, err := d.errorsOf(diskFull)
	if err != nil {
		return err
	}
	disk, err := d.newDisk(ctx)
	if err != nil {
		return err
	}
	err = d.moveResults(ctx, disk.tablespace)
	if err == nil {
		err = disk.full(func() error { return feed(ctx, d.failing(diskFull, before+2)) })
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Minute)
	defer cancel()
	return firstOf(err, d.moveResults(ctx, "pg_default"), disk.remove(ctx, d))
}

// disk is a small file system with a tablespace of its own.
type disk struct{ tablespace, dir string }

const (
	// The same path would be the standby's as well, which is on this machine.
	allowInPlace     = `SET allow_in_place_tablespaces = on`
	createTablespace = `CREATE TABLESPACE small LOCATION ''`
	dropTablespace   = `DROP TABLESPACE small`

	selectTablespace = `
SELECT current_setting('data_directory') || '/pg_tblspc/' || oid FROM pg_tablespace WHERE spcname = 'small'`
	selectNeeded = `
SELECT (pg_total_relation_size('regmend.data_repair_details') + pg_total_relation_size('regmend.missing_repositories')) / 1024`
)

// newDisk makes one on which the results just fit.
func (d *database) newDisk(ctx context.Context) (disk, error) {
	conn, err := d.sql.Connx(ctx)
	if err != nil {
		return disk{}, err
	}
	defer conn.Close()
	for _, statement := range append(compactResults, allowInPlace, createTablespace) {
		if _, err := conn.ExecContext(ctx, statement); err != nil {
			return disk{}, fmt.Errorf("%s: %w", statement, err)
		}
	}
	small := disk{tablespace: "small"}
	small.dir, err = d.mountSmall(ctx, conn)
	if err != nil {
		_, dropped := conn.ExecContext(context.WithoutCancel(ctx), dropTablespace)
		return disk{}, errors.Join(err, dropped)
	}
	return small, nil
}

// compactResults leaves no room in the tables themselves.
var compactResults = []string{`VACUUM FULL regmend.data_repair_details`, `VACUUM FULL regmend.missing_repositories`}

// mountSmall mounts the small file system over the tablespace's folder.
func (d *database) mountSmall(ctx context.Context, conn *sqlx.Conn) (string, error) {
	var location string
	if err := conn.GetContext(ctx, &location, selectTablespace); err != nil {
		return "", err
	}
	// Postgres keeps its files in the one folder there, named after its version.
	found, err := filepath.Glob(filepath.Join(location, "PG_*"))
	if err != nil || len(found) != 1 {
		return "", fmt.Errorf("%s has not one folder: %v", location, found)
	}
	info, err := os.Stat(found[0])
	if err != nil {
		return "", err
	}
	owner := info.Sys().(*syscall.Stat_t)
	var kilobytes int
	if err := conn.GetContext(ctx, &kilobytes, selectNeeded); err != nil {
		return "", err
	}
	const spare = 8 << 10 // for what is written until the results are there
	options := fmt.Sprintf("mode=700,uid=%d,gid=%d,size=%dk", owner.Uid, owner.Gid, kilobytes+spare)
	return found[0], mount(ctx, found[0], options)
}

const moveResults = `
ALTER TABLE regmend.data_repair_details SET TABLESPACE %[1]s;
ALTER TABLE regmend.missing_repositories SET TABLESPACE %[1]s;
ALTER INDEX regmend.data_repair_details_pkey SET TABLESPACE %[1]s;
ALTER INDEX regmend.data_repair_details_due SET TABLESPACE %[1]s;
ALTER INDEX regmend.missing_repositories_pkey SET TABLESPACE %[1]s`

// moveResults moves the result tables and their indexes.
func (d *database) moveResults(ctx context.Context, tablespace string) error {
	if _, err := d.sql.ExecContext(ctx, fmt.Sprintf(moveResults, tablespace)); err != nil {
		return fmt.Errorf("move the results to %s: %w", tablespace, err)
	}
	return nil
}

// full leaves no room on the disk while do runs.
func (k disk) full(do func() error) error {
	filler, err := os.Create(filepath.Join(k.dir, "filler"))
	if err != nil {
		return err
	}
	defer os.Remove(filler.Name())
	defer filler.Close()
	if _, err := io.Copy(filler, zeros{}); !errors.Is(err, syscall.ENOSPC) {
		return fmt.Errorf("fill the disk: %w", err)
	}
	return do()
}

// zeros never end.
type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}

// remove is called when nothing is on the disk any more. After the checkpoint no
// recovery knows of it.
func (k disk) remove(ctx context.Context, d *database) error {
	if err := unmount(ctx, k.dir); err != nil {
		return err
	}
	for _, statement := range []string{dropTablespace, `CHECKPOINT`} {
		if _, err := d.sql.ExecContext(ctx, statement); err != nil {
			return fmt.Errorf("%s: %w", statement, err)
		}
	}
	return nil
}
