package postgres

import (
	"bufio"
	"context"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"

	"github.com/pressly/goose/v3"
)

const (
	grantLocks = "-- Locks: none on GitLab's tables.\n" +
		"-- The owner of projects may read everything, so that GitLab's backup works."

	addKeyLocks = "-- Locks: SHARE ROW EXCLUSIVE on projects: reading goes on, writers of projects wait\n" +
		"-- while it is held, a moment. It is given up after 100 ms of waiting and tried again."

	validateKeyLocks = "-- Locks: ROW SHARE on projects: nobody waits."

	removeKeyLocks = "-- Locks: ACCESS EXCLUSIVE on projects, for a moment. It is given up after 100 ms of\n" +
		"-- waiting and tried again."

	noteVersion = "\nINSERT INTO regmend.schema_migrations (version_id, is_applied) VALUES (%d, true);\n"

	nothingToDo = "-- The schema is up to date: nothing would run but the grants, once more.\n"
)

// MigrationPlan returns the SQL that Migrate would run with the same options,
// with the locks each part takes. It changes nothing, and objects where
// Migrate would.
func (db *DB) MigrationPlan(ctx context.Context, migrations fs.FS, o MigrateOptions) (string, error) {
	if err := db.mayMigrate(ctx, migrations); err != nil {
		return "", err
	}
	f, err := db.findings(ctx)
	if err != nil {
		return "", err
	}
	var parts []string
	for _, statement := range f.foundations() {
		parts = append(parts, "-- Locks: none that anyone waits for.\n"+strings.TrimSpace(statement)+";\n")
	}
	parts = append(parts, grantLocks+"\n"+strings.TrimSpace(grantBackup)+";\n")
	pending, err := pendingSQL(migrations, f.Version)
	if err != nil {
		return "", err
	}
	key, err := db.foreignKeyPlan(ctx, o)
	if err != nil {
		return "", err
	}
	if len(parts)+len(pending)+len(key) == 1 {
		parts = append([]string{nothingToDo}, parts...)
	}
	return strings.Join(slices.Concat(parts, pending, key), "\n"), nil
}

func (db *DB) foreignKeyPlan(ctx context.Context, o MigrateOptions) ([]string, error) {
	present, valid, err := db.foreignKey(ctx)
	if err != nil {
		return nil, err
	}
	var parts []string
	if o.NoForeignKey {
		if present {
			parts = append(parts, removeKeyLocks+"\n"+oneTransaction(lockTimeout, removeForeignKey))
		}
		return parts, nil
	}
	if !present {
		parts = append(parts, addKeyLocks+"\n"+oneTransaction(lockTimeout, addForeignKey))
	}
	if !valid {
		parts = append(parts, validateKeyLocks+"\n"+oneTransaction(allowLong, deleteAllOrphans)+
			oneTransaction(lockTimeout, allowLong, validateForeignKey))
	}
	return parts, nil
}

// pendingSQL returns the up part of every migration after version.
func pendingSQL(migrations fs.FS, version int64) ([]string, error) {
	files, err := fs.Glob(migrations, "*.sql")
	if err != nil {
		return nil, err
	}
	slices.Sort(files)
	var parts []string
	for _, file := range files {
		v, err := goose.NumericComponent(path.Base(file))
		if err != nil {
			return nil, fmt.Errorf("migration %s: %w", file, err)
		}
		if v <= version {
			continue
		}
		text, err := fs.ReadFile(migrations, file)
		if err != nil {
			return nil, err
		}
		parts = append(parts, "-- "+file+"\n"+upPart(string(text))+fmt.Sprintf(noteVersion, v))
	}
	return parts, nil
}

// upPart is a migration without goose's marks and its way back.
func upPart(text string) string {
	var up strings.Builder
	lines := bufio.NewScanner(strings.NewReader(text))
	for lines.Scan() {
		line := lines.Text()
		if strings.HasPrefix(line, "-- +goose Down") {
			break
		}
		if !strings.HasPrefix(line, "-- +goose") {
			up.WriteString(line + "\n")
		}
	}
	return strings.TrimSpace(up.String()) + "\n"
}

// oneTransaction is statements as a person would run them.
func oneTransaction(statements ...string) string {
	var text strings.Builder
	text.WriteString("BEGIN;\n")
	for _, statement := range statements {
		text.WriteString(strings.TrimSpace(statement) + ";\n")
	}
	text.WriteString("COMMIT;\n")
	return text.String()
}
