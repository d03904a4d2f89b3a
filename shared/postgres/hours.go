package postgres

import (
	"fmt"
	"slices"
	"strings"
	"time"
	_ "time/tzdata" // where regmend runs there may be none, as in its image
)

// Hours are the times of day, in one time zone, in which the registry may be
// asked. The zero value is always.
type Hours struct {
	windows []window
	zone    *time.Location
}

// window is from one minute of the day to before another; from is not below to
// where midnight lies in between.
type window struct{ from, to int }

const minutesADay = 24 * 60

// ParseHours reads windows and their time zone, such as "22:00-06:00
// Europe/Berlin" or "00:00-05:30,12:00-13:00 UTC"; nothing is always.
func ParseHours(text string) (Hours, error) {
	if strings.TrimSpace(text) == "" {
		return Hours{}, nil
	}
	words := strings.Fields(text)
	name := words[len(words)-1]
	if len(words) == 1 || strings.Contains(name, ":") {
		return Hours{}, fmt.Errorf("%q has no time zone: write it as 22:00-06:00 Europe/Berlin", text)
	}
	list := strings.Join(words[:len(words)-1], "")
	if name == "Local" {
		return Hours{}, fmt.Errorf("the time zone %q differs from machine to machine: name one, such as Europe/Berlin", name)
	}
	zone, err := time.LoadLocation(name)
	if err != nil {
		return Hours{}, fmt.Errorf("there is no time zone %q: name one such as Europe/Berlin, or UTC", name)
	}
	h := Hours{zone: zone}
	for part := range strings.SplitSeq(list, ",") {
		w, err := parseWindow(part)
		if err != nil {
			return Hours{}, err
		}
		h.windows = append(h.windows, w)
	}
	return h, nil
}

func parseWindow(text string) (w window, err error) {
	from, to, ok := strings.Cut(text, "-")
	if ok {
		w.from, ok = minuteOf(from)
	}
	if ok {
		w.to, ok = minuteOf(to)
	}
	if !ok || w.from == minutesADay || w.from == w.to {
		return window{}, fmt.Errorf("%q is not a time of day to another, such as 22:00-06:00", text)
	}
	return w, nil
}

// minuteOf reads hh:mm; 24:00 is the end of the day.
func minuteOf(text string) (minute int, ok bool) {
	if text == "24:00" {
		return minutesADay, true
	}
	at, err := time.Parse("15:04", text)
	return at.Hour()*60 + at.Minute(), err == nil && len(text) == len("15:04")
}

func (w window) includes(minute int) bool {
	if w.from < w.to {
		return w.from <= minute && minute < w.to
	}
	return w.from <= minute || minute < w.to
}

// String is the usual form, which ParseHours reads.
func (h Hours) String() string {
	if len(h.windows) == 0 {
		return ""
	}
	var parts []string
	for _, w := range h.windows {
		parts = append(parts, fmt.Sprintf("%02d:%02d-%02d:%02d", w.from/60, w.from%60, w.to/60, w.to%60))
	}
	return strings.Join(parts, ",") + " " + h.zone.String()
}

// Equal tells whether both are the same windows in the same zone.
func (h Hours) Equal(other Hours) bool { return h.String() == other.String() }

// Include tells whether the moment is in one of the windows, by the clocks on
// the wall of their zone: where an hour comes twice, it is meant twice.
func (h Hours) Include(at time.Time) bool {
	if len(h.windows) == 0 {
		return true
	}
	local := at.In(h.zone)
	minute := local.Hour()*60 + local.Minute()
	return slices.ContainsFunc(h.windows, func(w window) bool { return w.includes(minute) })
}

// Next is the next moment after at that is in one of the windows, in their
// zone; ok is false if there is none within three days, as where the only window
// is in an hour that does not exist.
func (h Hours) Next(at time.Time) (next time.Time, ok bool) {
	if len(h.windows) == 0 {
		return at, true
	}
	// Minute by minute, as the wall clock's own jumps need no thought then.
	begins := at.In(h.zone).Truncate(time.Minute)
	for minutes := range 3 * minutesADay {
		next = begins.Add(time.Duration(minutes+1) * time.Minute)
		if h.Include(next) {
			return next, true
		}
	}
	return time.Time{}, false
}
