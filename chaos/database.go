package main

import (
	"context"

	"github.com/jmoiron/sqlx"
)

// database is GitLab's Postgres, behind PgBouncer and a proxy.
type database struct {
	sql *sqlx.DB // the superuser's, straight to the primary
}

func (in *installation) startDatabase(context.Context) (*database, error) {
	return &database{}, nil
}

func (d *database) stop() error { return nil }

// env are the variables that tell regmend's processes of it.
func (d *database) env() map[string]string { return map[string]string{} }

// ownerURL is what `regmend migrate` is given.
func (d *database) ownerURL() string { return "" }
