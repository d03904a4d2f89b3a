package postgres_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"regmend/shared/postgres"
	"regmend/shared/postgres/postgrestest"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"golang.org/x/sync/errgroup"
)

func state(t *testing.T, db *postgrestest.Database) postgres.State {
	t.Helper()
	state, err := db.DB.State(t.Context())
	if err != nil {
		t.Fatalf("State: %v", err)
	}
	return state
}

func TestSettingsHaveTheDocumentedDefaults(t *testing.T) {
	t.Parallel()
	db := postgrestest.New(t)
	want := postgres.Settings{
		MaxConcurrency: 2, BatchSize: 100, PageSize: 1000, StashLimit: 1000, FlushAfter: 5 * time.Second,
		QueueMinutes: 5, LapInterval: 10 * time.Minute, WitnessShare: 50,
		Strategy: postgres.StrategyProject, Brake: true, ConfirmAfter: time.Minute, MinAge: time.Hour,
		RetainSnapshots: 10, RetainSnapshotsFor: 90 * 24 * time.Hour, ShrinkShare: 50,
		RepairConcurrency: 1,
	}
	if diff := cmp.Diff(want, state(t, db).Settings); diff != "" {
		t.Errorf("Settings (-want +got):\n%s", diff)
	}
	settings, err := db.DB.Settings(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var shown []string
	for _, s := range settings {
		if s.Value != s.Default || s.Help == "" || !s.ChangedAt.IsZero() {
			t.Errorf("Settings() has %+v, want the default, with a help", s)
		}
		shown = append(shown, s.Key+"="+s.Value)
	}
	if got, want := strings.Join(shown, " "), "max_concurrency=2 scan_enabled=false batch_size=100 page_size=1000 stash_limit=1000 flush_after=5s queue_minutes=5 lap_interval=10m witness_share=50 scope= strategy=project requests_per_second=0 brake=on active_hours= confirm_after=1m min_age=1h retain_snapshots=10 retain_snapshots_for=2160h shrink_share=50 repair_concurrency=1 repair_enabled=false"; got != want {
		t.Errorf("Settings() = %s, want %s", got, want)
	}
}

func TestSetIsInForceAndNoted(t *testing.T) {
	t.Parallel()
	db := postgrestest.New(t)
	for _, step := range []struct{ key, value, old, stored string }{
		{"max_concurrency", "0", "2", "0"},
		{"max_concurrency", " 12 ", "0", "12"},
		{"max_concurrency", "12", "12", "12"},
		{"scan_enabled", "true", "false", "true"},
		{"flush_after", "90000ms", "5s", "1m30s"},
		{"strategy", "auto", "project", "auto"},
		{"strategy", "sweep ", "auto", "sweep"},
		{"requests_per_second", "25", "0", "25"},
		{"brake", "off", "on", "off"},
		{"active_hours", " 22:00-06:00,12:00-13:30   Europe/Berlin", "", "22:00-06:00,12:00-13:30 Europe/Berlin"},
		{"confirm_after", "0s", "1m", "0s"},
		{"min_age", "8760h", "1h", "8760h"},
		{"retain_snapshots", "3", "10", "3"},
		{"retain_snapshots_for", "0s", "2160h", "0s"},
		{"shrink_share", "100", "50", "100"},
		{"lap_interval", "120m", "10m", "2h"},
		{"scope", "Group/app , other,other", "", "Group/app,other"},
		{"scope", "", "Group/app,other", ""},
	} {
		old, err := db.DB.Set(t.Context(), step.key, step.value, "alice")
		if err != nil || old != step.old {
			t.Errorf("Set(%s, %q) = %q, %v, want %q", step.key, step.value, old, err, step.old)
		}
		if got := db.Value(t, `SELECT value FROM regmend.settings WHERE key = $1`, step.key); got != step.stored {
			t.Errorf("after Set(%s, %q): stored %q, want %q", step.key, step.value, got, step.stored)
		}
	}
	want := postgres.Settings{
		MaxConcurrency: 12, ScanEnabled: true, BatchSize: 100, PageSize: 1000, StashLimit: 1000,
		FlushAfter: 90 * time.Second, QueueMinutes: 5, LapInterval: 2 * time.Hour, WitnessShare: 50,
		Strategy: postgres.StrategySweep, PerSecond: 25, ActiveHours: hours(t, "22:00-06:00,12:00-13:30 Europe/Berlin"),
		MinAge:          8760 * time.Hour,
		RetainSnapshots: 3, RetainSnapshotsFor: 0, ShrinkShare: 100,
		RepairConcurrency: 1,
	}
	if diff := cmp.Diff(want, state(t, db).Settings); diff != "" {
		t.Errorf("Settings (-want +got):\n%s", diff)
	}
	changes, err := db.DB.SettingsHistory(t.Context(), 3)
	wantChanges := []postgres.Change{
		{Key: "scope", Old: "Group/app,other", New: "", ChangedBy: "alice"},
		{Key: "scope", Old: "", New: "Group/app,other", ChangedBy: "alice"},
		{Key: "lap_interval", Old: "10m", New: "2h", ChangedBy: "alice"},
	}
	if diff := cmp.Diff(wantChanges, changes, cmpopts.IgnoreFields(postgres.Change{}, "ChangedAt")); err != nil || diff != "" {
		t.Errorf("SettingsHistory(), %v (-want +got):\n%s", err, diff)
	}
	if got := db.Value(t, `SELECT count(*) FROM regmend.settings_history`); got != "17" {
		t.Errorf("%s changes noted, want 17: setting what is set is none", got)
	}
}

func TestSetByManyAtOnceKeepsTheHistoryWhole(t *testing.T) {
	t.Parallel()
	db := postgrestest.New(t)
	var group errgroup.Group
	for i := range 8 {
		group.Go(func() error {
			_, err := db.DB.Set(t.Context(), "max_concurrency", fmt.Sprint(10+i), fmt.Sprint("user ", i))
			return err
		})
	}
	if err := group.Wait(); err != nil {
		t.Fatal(err)
	}
	// Every old value is the new one of the change before.
	got := db.Value(t, `SELECT count(*) FROM (SELECT old, lag(new, 1, '2') OVER (ORDER BY id) AS before FROM regmend.settings_history) AS h WHERE old = before`)
	if got != "8" {
		t.Errorf("%s of 8 changes follow on each other", got)
	}
}

func TestP17_SetSaysWhatWouldBeRight(t *testing.T) {
	t.Parallel()
	db := postgrestest.New(t)
	for _, test := range []struct{ key, value, want string }{
		{"max_concurrency", "-1", `max_concurrency: "-1" is not a whole number from 0 to 1000`},
		{"max_concurrency", "", `max_concurrency: "" is not a whole number`},
		{"max_concurrency", "1e3", "not a whole number"},
		{"max_concurrency", "99999999999999999999", "not a whole number"},
		{"batch_size", "0", "from 1 to 1000"},
		{"page_size", "1001", "from 1 to 1000"},
		{"witness_share", "101", "from 0 to 100"},
		{"scan_enabled", "yes", `"yes" is neither true nor false`},
		{"flush_after", "5", `"5" is not a duration with its unit, such as 90s or 10m, from 1s to 10m`},
		{"flush_after", "1ms", "from 1s to 10m"},
		{"lap_interval", "25h", "from 1s to 24h"},
		{"strategy", "fast", `"fast" is none of project, sweep, auto`},
		{"requests_per_second", "0.5", "from 0 to 100000"},
		{"brake", "true", `"true" is neither on nor off`},
		{"active_hours", "22:00-06:00", `"22:00-06:00" has no time zone: write it as 22:00-06:00 Europe/Berlin`},
		{"scope", "/group", `"/group" is not a full path`},
		{"scope", "a group", "is not a full path"},
		{"colour", "blue", "the settings are max_concurrency, scan_enabled,"},
	} {
		_, err := db.DB.Set(t.Context(), test.key, test.value, "alice")
		if err == nil || !strings.Contains(err.Error(), test.want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("Set(%s, %q) = %v, want one line with %s", test.key, test.value, err, test.want)
		}
	}
	if got := db.Value(t, `SELECT count(*) FROM regmend.settings`); got != "0" {
		t.Errorf("%s settings were written", got)
	}
}

func TestADamagedSettingIsAnErrorThatNamesIt(t *testing.T) {
	t.Parallel()
	db := postgrestest.New(t)
	db.Exec(t, `ALTER TABLE regmend.settings DROP CONSTRAINT value_fits_key`)
	for _, damage := range []struct{ key, value string }{
		{"max_concurrency", "many"},
		{"max_concurrency", "5000"},
		{"max_concurrency", ""},
		{"flush_after", "5"},
		{"scan_enabled", "on"},
		{"page_size", "0"},
		{"strategy", ""},
		{"active_hours", "22:00-06:00 Nowhere"},
		{"scope", "/"},
	} {
		db.Exec(t, `DELETE FROM regmend.settings`)
		db.Exec(t, `INSERT INTO regmend.settings (key, value) VALUES ($1, $2)`, damage.key, damage.value)
		_, err := db.DB.State(t.Context())
		if err == nil || !strings.Contains(err.Error(), damage.key) || !strings.Contains(err.Error(), "regmend settings set") {
			t.Errorf("State() with %s = %q: %v, want an error that names it", damage.key, damage.value, err)
		}
	}
}

func TestTheTableRefusesWhatNobodyCouldRead(t *testing.T) {
	t.Parallel()
	db := postgrestest.New(t)
	for _, bad := range []struct{ key, value string }{
		{"max_concurrency", "-1"},
		{"max_concurrency", "many"},
		{"scan_enabled", "on"},
		{"flush_after", "5"},
		{"strategy", "fast"},
		{"brake", "true"},
		{"active_hours", "always"},
		{"requests_per_second", "-1"},
		{"colour", "blue"},
	} {
		if _, err := db.SQL.Exec(`INSERT INTO regmend.settings (key, value) VALUES ($1, $2)`, bad.key, bad.value); err == nil {
			t.Errorf("the table took %s = %q", bad.key, bad.value)
		}
	}
}
