package postgres

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/jmoiron/sqlx"
)

// Settings are the values in force, each within its range.
type Settings struct {
	MaxConcurrency int // scans at once over all consumers; 0 stops
	ScanEnabled    bool
	BatchSize      int // projects a scan task
	PageSize       int // repositories a page of the registry's listing
	StashLimit     int // results that make a flush due
	FlushAfter     time.Duration
	QueueMinutes   int // minutes of work that the producer keeps queued
	LapInterval    time.Duration
	WitnessShare   int      // percent of the sampled repositories that must be found
	Scope          []string // full paths the producer keeps to; empty: everything
	Strategy       Strategy
	PerSecond      int  // requests to the registry in any second, over all consumers; 0: no limit
	Brake          bool // fewer slots while the registry is slow, refuses or fails
	ActiveHours    Hours
	ConfirmAfter   time.Duration // between the two looks at what is missing, at least
	MinAge         time.Duration // of a repository that counts as missing

	RetainSnapshots    int           // versions kept of a project
	RetainSnapshotsFor time.Duration // after they were last seen; 0: however old
	ShrinkShare        int           // percent by which listings may shrink

	RepairConcurrency int // tasks of repairs at once over all consumers; 0 stops
	RepairEnabled     bool
}

const defaultShrinkShare = 50

// Strategy is how projects get their results.
type Strategy string

// The strategies there are.
const (
	StrategyProject Strategy = "project" // each is scanned
	StrategySweep   Strategy = "sweep"   // the catalog is walked first
	StrategyAuto    Strategy = "auto"    // that, where the registry grants its catalog and most projects are pending
)

// Setting is one setting, for people.
type Setting struct {
	Key, Value, Default, Help string
	// ChangedAt and ChangedBy are zero where the default was never changed.
	ChangedAt time.Time
	ChangedBy string
}

// Change is one entry of the settings' history.
type Change struct {
	Key       string    `db:"key"`
	Old       string    `db:"old"`
	New       string    `db:"new"`
	ChangedAt time.Time `db:"changed_at"`
	ChangedBy string    `db:"changed_by"`
}

type storedSetting struct {
	Key       string    `db:"key"`
	Value     string    `db:"value"`
	ChangedAt time.Time `db:"changed_at"`
	ChangedBy string    `db:"changed_by"`
}

const selectSettings = `SELECT key, value, changed_at, changed_by FROM regmend.settings`

// Settings returns every setting in the order of the documentation.
func (db *DB) Settings(ctx context.Context) ([]Setting, error) {
	var rows []storedSetting
	if err := db.sql.SelectContext(ctx, &rows, selectSettings); err != nil {
		return nil, db.fault(ctx, "read the settings", err)
	}
	stored := make(map[string]storedSetting, len(rows))
	for _, row := range rows {
		stored[row.Key] = row
	}
	var settings []Setting
	for _, d := range definitions() {
		s := Setting{Key: d.key, Value: d.fallback, Default: d.fallback, Help: d.help}
		if row, ok := stored[d.key]; ok {
			s.Value, s.ChangedAt, s.ChangedBy = row.Value, row.ChangedAt.UTC(), row.ChangedBy
		}
		settings = append(settings, s)
	}
	return settings, nil
}

const selectChanges = `
SELECT key, old, new, changed_at, changed_by
FROM regmend.settings_history
ORDER BY id DESC
LIMIT $1`

// SettingsHistory returns the last changes, the newest first.
func (db *DB) SettingsHistory(ctx context.Context, limit int) ([]Change, error) {
	changes := []Change{}
	err := db.sql.SelectContext(ctx, &changes, selectChanges, limit)
	return changes, db.fault(ctx, "read the settings' history", err)
}

const (
	// Readers are not kept waiting, other writers are: the history then has
	// the true old value.
	lockSettings = `LOCK TABLE regmend.settings IN SHARE ROW EXCLUSIVE MODE`

	selectSetting = `SELECT value FROM regmend.settings WHERE key = $1`

	writeSetting = `
INSERT INTO regmend.settings (key, value, changed_at, changed_by)
VALUES ($1, $2, now(), $3)
ON CONFLICT (key) DO UPDATE
SET value = excluded.value, changed_at = excluded.changed_at, changed_by = excluded.changed_by`

	writeChange = `
INSERT INTO regmend.settings_history (key, old, new, changed_at, changed_by)
VALUES ($1, $2, $3, now(), $4)`
)

// Set checks value, writes it in its usual form and notes the change with who
// made it. It returns the value that was in force. Setting what is set already
// leaves no trace. An unknown key or a value out of range is an error that
// says what would be right.
func (db *DB) Set(ctx context.Context, key, value, by string) (old string, err error) {
	d, err := definitionOf(key)
	if err != nil {
		return "", err
	}
	value, err = d.canonical(value)
	if err != nil {
		return "", err
	}
	err = db.transact(ctx, nil, func(tx *sqlx.Tx) error {
		old, err = replaceSetting(ctx, tx, d, value, by)
		return err
	})
	return old, db.fault(ctx, "set "+key, err)
}

func replaceSetting(ctx context.Context, tx *sqlx.Tx, d definition, value, by string) (old string, err error) {
	if _, err := tx.ExecContext(ctx, lockSettings); err != nil {
		return "", err
	}
	err = tx.GetContext(ctx, &old, selectSetting, d.key)
	if errors.Is(err, sql.ErrNoRows) {
		old, err = d.fallback, nil
	}
	if err != nil || old == value {
		return old, err
	}
	if _, err := tx.ExecContext(ctx, writeSetting, d.key, value, by); err != nil {
		return "", err
	}
	_, err = tx.ExecContext(ctx, writeChange, d.key, old, value, by)
	return old, err
}

// settingsOf reads stored values over the defaults. A value that does not fit
// is an error that names its key: to go on with zero would be a different
// order than was given.
func settingsOf(stored map[string]string) (Settings, error) {
	var s Settings
	for _, d := range definitions() {
		value, ok := stored[d.key]
		if !ok {
			value = d.fallback
		}
		if err := d.read(&s, value); err != nil {
			return Settings{}, fmt.Errorf("stored setting %s is damaged: %w; mend it with `regmend settings set %s VALUE`", d.key, err, d.key)
		}
	}
	return s, nil
}
