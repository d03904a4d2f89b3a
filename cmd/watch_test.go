package cmd_test

import (
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"regmend/cmd"
)

func TestProgressBar(t *testing.T) {
	reason := "registry: 503"
	for name, c := range map[string]struct {
		status  cmd.Status
		rate    float64
		columns int
		want    string
	}{
		"in mid-course": {
			cmd.Status{Enabled: true, MaxConcurrency: 2, Eligible: 1000, Completed: 240, Failed: 10, Pending: 750, MissingTotal: 7},
			12.5, 100,
			"  25 % |█████████░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░| 250/1,000, 7 missing, 10 failed, 12.5/s, 1 min left",
		},
		"a narrow terminal": {
			cmd.Status{Enabled: true, MaxConcurrency: 2, Eligible: 1000, Completed: 250, Pending: 750},
			12.5, 50,
			"  25 % 250/1,000, 0 missing, 12.5/s, 1 min left",
		},
		"a very narrow one": {
			cmd.Status{Enabled: true, MaxConcurrency: 2, Eligible: 1000, Completed: 250, Pending: 750},
			12.5, 30,
			"  25 % 250/1,000, 0 missing, …",
		},
		"nobody works": {
			cmd.Status{Enabled: true, MaxConcurrency: 2, Eligible: 10, Pending: 10, Stashed: new(int)},
			0, 70,
			"   0 % |░░░░░░░░░░░░░░░░░░░░░░░| 0/10, 0 missing, no consumer is alive",
		},
		"a scope": {
			cmd.Scoped(cmd.Status{Enabled: true, MaxConcurrency: 2, Eligible: 10, Pending: 10}, "g/a", "h"),
			5, 70,
			"   0 % |░░░░░░░░░░░░░░░░░░░░░░░░| 0/10, 0 missing, in scope g/a,h only",
		},
		"nothing to do": {
			cmd.Status{Enabled: true, MaxConcurrency: 2},
			0, 40,
			" 100 % |████████████████| 0/0, 0 missing",
		},
		"holding": {
			cmd.Status{Enabled: true, MaxConcurrency: 2, Eligible: 10, Pending: 10, Holding: &reason},
			5, 70,
			"   0 % |░░░░░░░░░░░░░░░░░░░░░| 0/10, 0 missing, holding: registry: 503",
		},
		"disabled": {
			cmd.Status{MaxConcurrency: 2, Eligible: 10, Pending: 10},
			5, 70,
			"   0 % |░░░░░░░░░░░░░░░░░░░░░░░| 0/10, 0 missing, scanning is disabled",
		},
	} {
		t.Run(name, func(t *testing.T) {
			got := cmd.ProgressBar(&c.status, c.rate, c.columns)
			if strings.TrimRight(got, " ") != c.want {
				t.Errorf("got  %q\nwant %q", got, c.want)
			}
			if n := utf8.RuneCountInString(got); n > c.columns {
				t.Errorf("%d columns, want at most %d", n, c.columns)
			}
		})
	}
}

func TestPaceIsOfTheLastLooks(t *testing.T) {
	begin := time.Unix(1_700_000_000, 0)
	var p cmd.Pace
	if got := p.Rate(); got != 0 {
		t.Errorf("nothing seen: %v, want 0", got)
	}
	p.Add(begin, 5000) // done before the watch began: no part of the rate
	if got := p.Rate(); got != 0 {
		t.Errorf("one look: %v, want 0", got)
	}
	for second := range 100 {
		done := 5000
		if second > 60 {
			done += (second - 60) * 10
		}
		p.Add(begin.Add(time.Duration(second+1)*time.Second), int64(done))
	}
	if got := p.Rate(); got != 10 {
		t.Errorf("the last looks: %v, want 10", got)
	}
	// A new run sets the count back: no negative rate.
	p.Add(begin.Add(200*time.Second), 0)
	if got := p.Rate(); got != 0 {
		t.Errorf("set back: %v, want 0", got)
	}
}

func TestTimeLeft(t *testing.T) {
	for want, seconds := range map[string]int64{
		"30 s": 30, "1.5 min": 89, "2 min": 120, "9.9 min": 596, "80 min": 4800, "3 h": 3 * 3600, "47 h": 47 * 3600, "3 days": 3 * 86400,
	} {
		if got := cmd.TimeLeft(seconds, 1); got != want {
			t.Errorf("TimeLeft(%d s) = %q, want %q", seconds, got, want)
		}
	}
}

func TestP6_AnImbalanceIsSaidLoudly(t *testing.T) {
	s := cmd.Status{Projects: 10, Eligible: 9, Ineligible: 1, Completed: 5, Failed: 1, Pending: 2}
	if s.Balance() {
		t.Error("9 = 5 + 1 + 2 is taken for balanced")
	}
	if err := s.Fault(); err == nil || !strings.HasPrefix(err.Error(), "THE COUNTS DO NOT ADD UP: of 10 projects 9 are eligible and 1 not, but 5 completed + 1 failed + 2 pending = 8") {
		t.Errorf("Fault() = %v", err)
	}
	s.Pending = 3
	if !s.Balance() {
		t.Error("9 = 5 + 1 + 3 is not taken for balanced")
	}
	s.Projects = 11
	if s.Balance() {
		t.Error("11 = 9 + 1 is taken for balanced")
	}
}
