package postgres_test

import (
	"strings"
	"testing"
	"time"

	"regmend/shared/postgres"
)

func hours(t *testing.T, text string) postgres.Hours {
	t.Helper()
	h, err := postgres.ParseHours(text)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

func moment(t *testing.T, text string) time.Time {
	t.Helper()
	at, err := time.Parse(time.RFC3339, text)
	if err != nil {
		t.Fatal(err)
	}
	return at
}

func TestActiveHours(t *testing.T) {
	const night = "22:00-06:00 Europe/Berlin"
	for _, test := range []struct{ name, hours, at, next string }{ // next "": it is active
		{"no windows are always", "", "2026-01-01T12:00:00Z", ""},
		{"in winter, an hour ahead of UTC", night, "2026-01-15T21:00:00Z", ""},
		{"a second before", night, "2026-01-15T20:59:59Z", "2026-01-15T21:00:00Z"},
		{"the end is not in it", night, "2026-01-15T05:00:00Z", "2026-01-15T21:00:00Z"},
		{"the last second is", night, "2026-01-15T04:59:59Z", ""},
		{"in summer, two hours ahead of UTC", night, "2026-07-15T20:00:00Z", ""},
		{"in summer, a minute before", night, "2026-07-15T19:59:00Z", "2026-07-15T20:00:00Z"},
		{"of several, the next", "01:00-02:00,12:00-13:00 UTC", "2026-07-15T03:10:00Z", "2026-07-15T12:00:00Z"},
		{"of several, the next day's", "01:00-02:00,12:00-13:00 UTC", "2026-07-15T13:00:00Z", "2026-07-16T01:00:00Z"},
		{"to the end of the day", "20:00-24:00 UTC", "2026-07-15T23:59:59Z", ""},
		{"not into the next", "20:00-24:00 UTC", "2026-07-16T00:00:00Z", "2026-07-16T20:00:00Z"},
		// On 29 March 2026 the clocks in Berlin go from 01:59:59 to 03:00, at 01:00 UTC.
		{"begins where the hour is left out: with what follows it", "02:30-04:00 Europe/Berlin", "2026-03-29T00:59:00Z", "2026-03-29T01:00:00Z"},
		{"the night is an hour shorter", night, "2026-03-29T04:00:00Z", "2026-03-29T20:00:00Z"},
		{"all in the hour that is left out: the next day's", "02:00-03:00 Europe/Berlin", "2026-03-29T00:30:00Z", "2026-03-30T00:00:00Z"},
		// On 25 October 2026 the clocks go from 02:59:59 back to 02:00, at 01:00 UTC.
		{"in the hour that comes twice, once", "02:00-02:30 Europe/Berlin", "2026-10-25T00:10:00Z", ""},
		{"between", "02:00-02:30 Europe/Berlin", "2026-10-25T00:40:00Z", "2026-10-25T01:00:00Z"},
		{"and twice", "02:00-02:30 Europe/Berlin", "2026-10-25T01:10:00Z", ""},
		{"the night is an hour longer", night, "2026-10-25T04:30:00Z", ""},
		{"a zone with a quarter of an hour", "09:00-10:00 Asia/Kathmandu", "2026-01-15T03:15:00Z", ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			h, at := hours(t, test.hours), moment(t, test.at)
			if got := h.Include(at); got != (test.next == "") {
				t.Fatalf("Include(%s) = %v", test.at, got)
			}
			if test.next == "" {
				return
			}
			if next, ok := h.Next(at); !ok || !next.Equal(moment(t, test.next)) {
				t.Errorf("Next(%s) = %s, %v, want %s", test.at, next.UTC(), ok, test.next)
			}
		})
	}
}

func TestActiveHoursMayHaveSpaces(t *testing.T) {
	const want = "22:00-06:00,12:00-13:00 Europe/Berlin"
	if got := hours(t, " 22:00-06:00, 12:00 - 13:00   Europe/Berlin ").String(); got != want {
		t.Errorf("String() = %q, want %q", got, want)
	}
	if got := hours(t, "  ").String(); got != "" {
		t.Errorf("String() = %q, want always", got)
	}
}

func TestP17_ActiveHoursSayWhatWouldBeRight(t *testing.T) {
	for text, want := range map[string]string{
		"22:00-06:00":                "has no time zone",
		"22:00-06:00 Europe/Nowhere": `there is no time zone "Europe/Nowhere"`,
		"22:00-06:00 Local":          "differs from machine to machine",
		"22:00-06:00 ../etc/passwd":  "there is no time zone",
		"22-06 UTC":                  `"22-06" is not a time of day to another`,
		"22:00-22:00 UTC":            "is not a time of day to another",
		"24:00-06:00 UTC":            "is not a time of day to another",
		"22:00-25:00 UTC":            "is not a time of day to another",
		"9:00-10:00 UTC":             "is not a time of day to another",
		"09:00-10:00, UTC":           `"" is not a time of day to another`,
		"always":                     "has no time zone",
	} {
		if _, err := postgres.ParseHours(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("ParseHours(%q) = %v, want one line with %s", text, err, want)
		}
	}
}
