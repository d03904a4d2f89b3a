package postgres

import (
	"fmt"
	"time"
)

// Remembered is what Redis remembered of the run when it had answered at At;
// zero when it remembered nothing.
type Remembered struct {
	Run, Scan int64
	At        time.Time
}

// Agrees returns nil if results may be gathered for the current run, else why
// not and what to do, in one line: the database was restored, or is another
// one, or the registry is. registry is the identity of the registry asked now,
// "" where it is not known.
//
// Runs are begun and scan numbers grow at any time, first in the database. So
// what was remembered after the state was read says nothing.
func (s State) Agrees(with Remembered, registry string) error {
	const begin = "if that is meant, begin a new run: regmend run new --reason …"
	run := s.Run
	switch {
	case s.Standby:
		return ErrStandby
	case run.ID == 0:
		return fmt.Errorf("there is no run yet: start a producer, or regmend run new --reason …")
	case run.SystemID != s.SystemID:
		return fmt.Errorf("run %d began on database cluster %s, this is cluster %s; %s", run.ID, run.SystemID, s.SystemID, begin)
	case registry != "" && run.Registry != registry:
		return fmt.Errorf("run %d is about the registry %s, this is %s; %s", run.ID, run.Registry, registry, begin)
	case with.At.Before(s.ReadAt) && with.Run > run.ID:
		return fmt.Errorf("redis remembers run %d, the database knows only run %d: it was restored; %s", with.Run, run.ID, begin)
	case with.Run == run.ID && with.At.Before(s.ReadAt) && with.Scan > s.Scan:
		return fmt.Errorf("redis remembers scan %d, the database has only come to %d: it was restored; %s", with.Scan, s.Scan, begin)
	default:
		return nil
	}
}
