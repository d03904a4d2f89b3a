package postgres

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"time"
)

// State is what may change while a process runs.
type State struct {
	Settings Settings
	Run      Run       // its ID is 0 where there is no run yet
	SystemID string    // of the cluster that answered
	Scan     int64     // the highest scan number ever given out, 0 if none
	Standby  bool      // nothing in State but this can be relied on
	Brake    BrakeStep // the last one, perhaps of another run
	ReadAt   time.Time // when reading began, by this process's clock
}

const selectState = `
SELECT (SELECT coalesce(jsonb_object_agg(key, value), '{}') FROM regmend.settings) AS settings,
       run.id, run.started_at, run.reason, run.registry, run.system_identifier, run.scan_number,
       control.system_identifier::text AS cluster,
       CASE WHEN scan.is_called THEN scan.last_value ELSE 0 END AS scan,
       pg_is_in_recovery() AS standby,
       (SELECT to_jsonb(step) FROM (SELECT ` + stepColumns + `
                                    FROM regmend.brake_steps ORDER BY id DESC LIMIT 1) AS step) AS brake
FROM pg_control_system() AS control
CROSS JOIN regmend.scan_number AS scan
LEFT JOIN LATERAL (SELECT id, started_at, reason, registry, system_identifier, scan_number
                   FROM regmend.runs ORDER BY id DESC LIMIT 1) AS run ON true`

type stateRow struct {
	Settings  []byte         `db:"settings"`
	ID        sql.NullInt64  `db:"id"`
	StartedAt sql.NullTime   `db:"started_at"`
	Reason    sql.NullString `db:"reason"`
	Registry  sql.NullString `db:"registry"`
	RunSystem sql.NullString `db:"system_identifier"`
	RunScan   sql.NullInt64  `db:"scan_number"`
	Cluster   string         `db:"cluster"`
	Scan      int64          `db:"scan"`
	Standby   bool           `db:"standby"`
	Brake     []byte         `db:"brake"`
}

// State reads everything at once, in one statement. A setting that does not
// fit is an error that names it.
func (db *DB) State(ctx context.Context) (State, error) {
	ctx, cancel := briefly(ctx)
	defer cancel()
	readAt := time.Now()
	var row stateRow
	if err := db.sql.GetContext(ctx, &row, selectState); err != nil {
		return State{}, db.fault(ctx, "read the state", err)
	}
	state, err := row.state()
	state.ReadAt = readAt
	return state, err
}

func (row stateRow) state() (State, error) {
	var stored map[string]string
	if err := json.Unmarshal(row.Settings, &stored); err != nil {
		return State{}, fmt.Errorf("read the settings: %w", err)
	}
	settings, err := settingsOf(stored)
	if err != nil {
		return State{}, err
	}
	state := State{Settings: settings, Run: row.run(), SystemID: row.Cluster, Scan: row.Scan, Standby: row.Standby}
	if row.Brake == nil {
		return state, nil
	}
	var last stepRow
	if err := json.Unmarshal(row.Brake, &last); err != nil {
		return State{}, fmt.Errorf("read the brake's last step: %w", err)
	}
	state.Brake = last.step()
	return state, nil
}

func (row stateRow) run() Run {
	if !row.ID.Valid {
		return Run{}
	}
	return Run{
		ID:        row.ID.Int64,
		StartedAt: row.StartedAt.Time.In(time.UTC),
		Reason:    row.Reason.String,
		Registry:  row.Registry.String,
		SystemID:  row.RunSystem.String,
		Scan:      row.RunScan.Int64,
	}
}
