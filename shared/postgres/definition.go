package postgres

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// definition is everything that is known about one setting: its default, its
// range, and where in Settings it goes.
type definition struct {
	key, fallback, help string
	// read checks value and puts it into s. Its error says what would be right.
	read func(s *Settings, value string) error
	// format is the usual form of what read put into s.
	format func(s Settings) string
}

func (d definition) canonical(value string) (string, error) {
	var s Settings
	if err := d.read(&s, strings.TrimSpace(value)); err != nil {
		return "", fmt.Errorf("%s: %w", d.key, err)
	}
	return d.format(s), nil
}

// definitions lists the settings in the order of the documentation.
func definitions() []definition {
	return []definition{
		number("max_concurrency", 2, 0, 1000, "scans at once over all consumers; 0 stops scanning",
			func(s *Settings) *int { return &s.MaxConcurrency }),
		either("scan_enabled", "true", "false", false, "the feature flag: scans are made only while it is true",
			func(s *Settings) *bool { return &s.ScanEnabled }),
		number("batch_size", 100, 1, 1000, "projects in one scan task",
			func(s *Settings) *int { return &s.BatchSize }),
		number("page_size", 1000, 1, 1000, "repositories asked of the registry in one page",
			func(s *Settings) *int { return &s.PageSize }),
		number("stash_limit", 1000, 1, 10000, "results in the stash that make a flush due",
			func(s *Settings) *int { return &s.StashLimit }),
		duration("flush_after", 5*time.Second, time.Second, 10*time.Minute, "age of the oldest result in the stash that makes a flush due",
			func(s *Settings) *time.Duration { return &s.FlushAfter }),
		number("queue_minutes", 5, 1, 60, "minutes of work the producer keeps in the queue",
			func(s *Settings) *int { return &s.QueueMinutes }),
		duration("lap_interval", 10*time.Minute, time.Second, 24*time.Hour, "least time between the starts of two walks over all projects",
			func(s *Settings) *time.Duration { return &s.LapInterval }),
		number("witness_share", 50, 0, 100, "percent of sampled known repositories that the registry must list before anything is scanned",
			func(s *Settings) *int { return &s.WitnessShare }),
		paths("scope", "full paths of groups or projects, comma-separated, that the producer keeps to; empty: all",
			func(s *Settings) *[]string { return &s.Scope }),
		strategy("strategy", StrategyProject, "how projects get their results: project (each is scanned), sweep (the registry's catalog is walked first), or auto (a sweep where the registry grants its catalog and most projects are pending)",
			func(s *Settings) *Strategy { return &s.Strategy }),
		number("requests_per_second", 0, 0, 100_000, "requests to the registry in any second, over all consumers; 0: as many as the slots allow",
			func(s *Settings) *int { return &s.PerSecond }),
		either("brake", "on", "off", true, "on: fewer slots are in use while the registry is slow, refuses or fails; off: always max_concurrency",
			func(s *Settings) *bool { return &s.Brake }),
		hours("active_hours", "when the registry may be asked, such as 22:00-06:00,12:00-13:00 Europe/Berlin; empty: always",
			func(s *Settings) *Hours { return &s.ActiveHours }),
		duration("confirm_after", time.Minute, 0, 24*time.Hour, "least time between the two looks that have to find a repository missing; 0s: the second follows at once",
			func(s *Settings) *time.Duration { return &s.ConfirmAfter }),
		duration("min_age", time.Hour, 0, 8760*time.Hour, "age from which on a repository counts as missing, where the registry tells when it was created; 0s: every one does",
			func(s *Settings) *time.Duration { return &s.MinAge }),
		number("retain_snapshots", 10, 1, 1000, "versions kept of what a project lists",
			func(s *Settings) *int { return &s.RetainSnapshots }),
		duration("retain_snapshots_for", 90*24*time.Hour, 0, 10*366*24*time.Hour, "for how long after it was last seen a version is kept that is not the latest; 0s: however old",
			func(s *Settings) *time.Duration { return &s.RetainSnapshotsFor }),
		number("shrink_share", defaultShrinkShare, 0, 100, "percent by which listings may shrink; of many projects at once that shrink more nothing is written; 100: never",
			func(s *Settings) *int { return &s.ShrinkShare }),
		number("repair_concurrency", 1, 0, 100, "tasks of repairs at once over all consumers; 0 stops them",
			func(s *Settings) *int { return &s.RepairConcurrency }),
		either("repair_enabled", "true", "false", false, "the repair's feature flag: rows are put back and removed only while it is true",
			func(s *Settings) *bool { return &s.RepairEnabled }),
	}
}

func definitionOf(key string) (definition, error) {
	var keys []string
	for _, d := range definitions() {
		if d.key == key {
			return d, nil
		}
		keys = append(keys, d.key)
	}
	return definition{}, fmt.Errorf("there is no setting %q; the settings are %s", key, strings.Join(keys, ", "))
}

func number(key string, fallback, least, most int, help string, field func(*Settings) *int) definition {
	return definition{
		key: key, fallback: strconv.Itoa(fallback), help: help,
		read: func(s *Settings, value string) error {
			n, err := strconv.Atoi(value)
			if err != nil || n < least || n > most {
				return fmt.Errorf("%q is not a whole number from %d to %d", value, least, most)
			}
			*field(s) = n
			return nil
		},
		format: func(s Settings) string { return strconv.Itoa(*field(&s)) },
	}
}

// either is true where it has the value yes.
func either(key, yes, no string, fallback bool, help string, field func(*Settings) *bool) definition {
	word := func(b bool) string {
		if b {
			return yes
		}
		return no
	}
	return definition{
		key: key, fallback: word(fallback), help: help,
		read: func(s *Settings, value string) error {
			if value != yes && value != no {
				return fmt.Errorf("%q is neither %s nor %s", value, yes, no)
			}
			*field(s) = value == yes
			return nil
		},
		format: func(s Settings) string { return word(*field(&s)) },
	}
}

func duration(key string, fallback, least, most time.Duration, help string, field func(*Settings) *time.Duration) definition {
	return definition{
		key: key, fallback: formatDuration(fallback), help: help,
		read: func(s *Settings, value string) error {
			d, err := time.ParseDuration(value)
			if err != nil || d < least || d > most {
				return fmt.Errorf("%q is not a duration with its unit, such as 90s or 10m, from %s to %s",
					value, formatDuration(least), formatDuration(most))
			}
			*field(s) = d
			return nil
		},
		format: func(s Settings) string { return formatDuration(*field(&s)) },
	}
}

// formatDuration is d without the units that are zero: 10m, not 10m0s.
func formatDuration(d time.Duration) string {
	text := d.String()
	if strings.HasSuffix(text, "m0s") {
		text = strings.TrimSuffix(text, "0s")
	}
	if strings.HasSuffix(text, "h0m") {
		text = strings.TrimSuffix(text, "0m")
	}
	return text
}

func paths(key, help string, field func(*Settings) *[]string) definition {
	return definition{
		key: key, help: help,
		read: func(s *Settings, value string) (err error) {
			*field(s), err = splitPaths(value)
			return err
		},
		format: func(s Settings) string { return strings.Join(*field(&s), ",") },
	}
}

func strategy(key string, fallback Strategy, help string, field func(*Settings) *Strategy) definition {
	return definition{
		key: key, fallback: string(fallback), help: help,
		read: func(s *Settings, value string) error {
			switch chosen := Strategy(value); chosen {
			case StrategyProject, StrategySweep, StrategyAuto:
				*field(s) = chosen
				return nil
			}
			return fmt.Errorf("%q is none of project, sweep, auto", value)
		},
		format: func(s Settings) string { return string(*field(&s)) },
	}
}

func hours(key, help string, field func(*Settings) *Hours) definition {
	return definition{
		key: key, help: help,
		read: func(s *Settings, value string) (err error) {
			*field(s), err = ParseHours(value)
			return err
		},
		format: func(s Settings) string { return field(&s).String() },
	}
}

func splitPaths(value string) ([]string, error) {
	var found []string
	for path := range strings.SplitSeq(value, ",") {
		path = strings.TrimSpace(path)
		if path == "" {
			continue
		}
		if strings.HasPrefix(path, "/") || strings.HasSuffix(path, "/") || strings.ContainsAny(path, " \t\n\x00") {
			return nil, fmt.Errorf("%q is not a full path such as group or group/app", path)
		}
		if !slices.Contains(found, path) {
			found = append(found, path)
		}
	}
	return found, nil
}
