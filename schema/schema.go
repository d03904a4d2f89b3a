// Package schema holds regmend's tables as numbered migrations, the slice of
// GitLab's own schema that the demo and the tests need, and the scripts that
// grant roles what they need. All of it is text; running it is up to others.
package schema

import "embed"

// Migrations are regmend's migrations, at the root, in goose's format. They
// expect the schema regmend and create nothing outside it.
//
//go:embed [0-9]*.sql
var Migrations embed.FS

// GitLab creates GitLab's tables as far as regmend reads them, with their
// real types, defaults, constraints and indexes. It stands in for a GitLab in
// the demo and in tests; regmend itself never runs it.
//
//go:embed gitlab/structure.sql
var GitLab string

// Roles are psql scripts, each granting one role what it needs.
//
//go:embed roles/*.sql
var Roles embed.FS
