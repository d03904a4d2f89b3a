package postgres_test

import (
	"context"
	"errors"
	"net"
	"strings"
	"testing"

	"regmend/shared/postgres"
	"regmend/shared/postgres/postgrestest"
)

func TestP16_OpenNeverRepeatsThePassword(t *testing.T) {
	for _, url := range []string{
		"postgres://user:secret/x@host/db", "postgres://user:sec%ret@host/db", "postgres://user:secret@host:port/db",
		"mysql://user:secret@host/db", "host=x password=secret", "", "postgres://user:secret@host/db?sslmode=secret",
	} {
		_, err := postgres.Open(url)
		if err == nil || strings.Contains(err.Error(), "secret") || strings.Contains(err.Error(), "sec%") || strings.Contains(err.Error(), "\n") {
			t.Errorf("Open(%q) = %v, want one line without the password", url, err)
		}
	}
}

func TestAway(t *testing.T) {
	db := postgrestest.New(t)
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_ = closed.Close()
	nobody := postgrestest.Open(t, "postgres://postgres@"+closed.Addr().String()+"/postgres?sslmode=disable").Ping(t.Context())
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	_, missing := db.DB.Show(t.Context(), postgres.Run{}, "no/such")
	for name, test := range map[string]struct {
		err  error
		want bool
	}{
		"nothing":             {nil, false},
		"nobody listens":      {nobody, true},
		"no such database":    {postgrestest.Open(t, strings.Replace(db.URL, db.Name, "nowhere", 1)).Ping(t.Context()), false},
		"cancelled":           {db.DB.Ping(cancelled), false},
		"deadline":            {context.DeadlineExceeded, true},
		"no such project":     {missing, false},
		"a standby":           {postgres.ErrStandby, true},
		"another run":         {postgres.ErrRunChanged, false},
		"some error or other": {errors.New("x"), false},
	} {
		if got := postgres.Away(test.err); got != test.want {
			t.Errorf("%s: Away(%v) = %v, want %v", name, test.err, got, test.want)
		}
	}
}

func TestRunsAndScanNumbers(t *testing.T) {
	db := postgrestest.New(t)
	if runs, err := db.DB.Runs(t.Context()); err != nil || len(runs) != 0 {
		t.Errorf("Runs() = %v, %v, want none", runs, err)
	}
	if s := state(t, db); s.Run.ID != 0 || s.Scan != 0 || s.SystemID == "" {
		t.Errorf("State() = %+v, want no run, no scan number, and the cluster", s)
	}
	first, err := db.DB.NewRun(t.Context(), "first", "a", 0)
	if err != nil {
		t.Fatal(err)
	}
	second, err := db.DB.NewRun(t.Context(), "second", "b", 5000)
	if err != nil || second.ID <= first.ID || second.Scan != 5001 {
		t.Errorf("NewRun(above 5000) = %+v, %v after %+v", second, err, first)
	}
	third, err := db.DB.NewRun(t.Context(), "third", "b", 7)
	if err != nil || third.Scan != 5002 {
		t.Errorf("NewRun(above 7) = %+v, %v, want scan 5002", third, err)
	}
	runs, err := db.DB.Runs(t.Context())
	if err != nil || len(runs) != 3 || runs[0] != third || runs[2] != first {
		t.Errorf("Runs() = %+v, %v, want the newest first", runs, err)
	}
	if s := state(t, db); s.Run != third || s.Scan != 5002 || s.SystemID != third.SystemID {
		t.Errorf("State() = %+v, want run %+v", s, third)
	}
}
