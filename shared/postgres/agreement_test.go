package postgres_test

import (
	"strings"
	"testing"
	"time"

	"regmend/shared/postgres"
)

func TestStateAgrees(t *testing.T) {
	readAt := time.Now()
	earlier, later := readAt.Add(-time.Second), readAt.Add(time.Millisecond)
	state := postgres.State{
		Run:      postgres.Run{ID: 3, Registry: "https://registry.example.com (gitlab)", SystemID: "7001", Scan: 100},
		SystemID: "7001",
		Scan:     500,
		ReadAt:   readAt,
	}
	with := func(change func(*postgres.State)) postgres.State {
		s := state
		change(&s)
		return s
	}
	tests := map[string]struct {
		state    postgres.State
		redis    postgres.Remembered
		registry string
		want     string // in the error; "" for none
	}{
		"nothing remembered":                   {state: state},
		"the same remembered":                  {state: state, redis: postgres.Remembered{Run: 3, Scan: 500, At: earlier}},
		"an older run remembered":              {state: state, redis: postgres.Remembered{Run: 2, Scan: 90, At: earlier}},
		"the same registry":                    {state: state, registry: "https://registry.example.com (gitlab)"},
		"a higher scan remembered later":       {state: state, redis: postgres.Remembered{Run: 3, Scan: 501, At: later}},
		"a higher scan remembered before":      {state: state, redis: postgres.Remembered{Run: 3, Scan: 501, At: earlier}, want: "was restored"},
		"a run remembered later":               {state: state, redis: postgres.Remembered{Run: 4, Scan: 7, At: later}},
		"a run remembered that is not there":   {state: state, redis: postgres.Remembered{Run: 4, Scan: 7, At: earlier}, want: "was restored"},
		"another registry":                     {state: state, registry: "https://elsewhere.example.com (gitlab)", want: "about the registry"},
		"another cluster":                      {state: with(func(s *postgres.State) { s.SystemID = "7002" }), want: "this is cluster 7002"},
		"a standby":                            {state: with(func(s *postgres.State) { s.Standby = true }), want: "standby"},
		"no run":                               {state: with(func(s *postgres.State) { s.Run = postgres.Run{} }), want: "no run yet"},
		"no run, but Redis remembers a run":    {state: with(func(s *postgres.State) { s.Run = postgres.Run{} }), redis: postgres.Remembered{Run: 3, At: earlier}, want: "regmend run new"},
		"the scan of another run is no matter": {state: state, redis: postgres.Remembered{Run: 2, Scan: 900, At: earlier}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			err := test.state.Agrees(test.redis, test.registry)
			switch {
			case test.want == "" && err != nil:
				t.Errorf("Agrees() = %v, want nil", err)
			case test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want)):
				t.Errorf("Agrees() = %v, want it to say %q", err, test.want)
			}
		})
	}
}
