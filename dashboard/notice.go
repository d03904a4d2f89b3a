package dashboard

import (
	"slices"
	"time"

	"regmend/shared/board"
	"regmend/shared/claims"
	"regmend/shared/tasks"
)

// notice is what the overview says first: how things stand and what to do.
type notice struct {
	Tone    string // good, busy, off, warn or bad; the style sheet knows them
	Title   string
	Detail  string
	Since   string // how long it has been so, and how long it will be
	Command string // what to run, if that helps
}

// producerSilent is many times the interval at which a leading producer counts.
const producerSilent = 10 * time.Minute

// notices says everything that keeps projects from being scanned, the gravest
// first; where there is nothing, how the work goes.
func notices(s snapshot) []notice {
	found := unreadable(s)
	if len(found) > 0 {
		return found
	}
	found = append(found, holding(s)...)
	if s.state.Run.ID == 0 {
		found = append(found, notice{Tone: "off", Title: "No run yet", Detail: "The first run begins when a producer starts.", Command: "regmend producer"})
	}
	found = append(found, switchedOff(s)...)
	found = append(found, unattended(s)...)
	if len(found) == 0 {
		found = append(found, course(s))
	}
	return found
}

func unreadable(s snapshot) []notice {
	var found []notice
	if s.postgresErr != nil {
		found = append(found, notice{Tone: "bad", Title: "Postgres cannot be read", Detail: s.postgresErr.Error(), Command: "regmend doctor"})
	}
	if s.redisErr != nil {
		found = append(found, notice{Tone: "bad", Title: "Redis cannot be read", Detail: s.redisErr.Error(), Command: "regmend doctor"})
	}
	return found
}

func holding(s snapshot) []notice {
	var found []notice
	for _, h := range s.holds {
		since := "For " + span(age(s.at, h.Since)) + " now."
		if left := h.Until.Sub(s.at); left > 0 {
			since = "For " + span(age(s.at, h.Since)) + " now, and not asked again for another " + span(left) + "."
		}
		found = append(found, notice{Tone: "warn", Title: holdTitle(h.Kind), Detail: h.Reason, Since: since})
	}
	return found
}

func holdTitle(kind string) string {
	switch kind {
	case board.HoldRegistry:
		return "Holding: the registry does not answer as it should"
	case board.HoldCatalog:
		return "Holding: the registry's catalog shows only a part"
	case board.HoldWitness:
		return "Holding: the registry does not know what it should"
	case board.HoldShrunk:
		return "Holding: the listings of many projects shrank"
	case board.HoldRun:
		return "Holding: the run is not this database's and registry's"
	case board.HoldPostgres:
		return "Holding: Postgres cannot be worked with"
	}
	return "Holding: " + kind
}

func switchedOff(s snapshot) []notice {
	switch {
	case !s.state.Settings.ScanEnabled:
		return []notice{{Tone: "off", Title: "Scanning is switched off", Detail: "Nothing is scanned until it is enabled. What was scanned is still written.", Command: "regmend enable"}}
	case s.state.Settings.MaxConcurrency == 0:
		return []notice{{Tone: "off", Title: "The cap is 0", Detail: "No scan gets a slot until max_concurrency is raised.", Command: "regmend settings set max_concurrency 2"}}
	case !s.state.Settings.ActiveHours.Include(s.at):
		return []notice{restNotice(s)}
	}
	return nil
}

func unattended(s snapshot) []notice {
	var found []notice
	if !slices.ContainsFunc(s.processes, mayScan) {
		found = append(found, notice{Tone: "warn", Title: "No consumer is running", Detail: "Batches wait until one is started.", Command: "regmend consumer"})
	}
	if c := s.counters; c != nil && age(s.at, c.At) > producerSilent {
		found = append(found, notice{Tone: "warn", Title: "No producer seems to be running", Detail: "The projects were last counted " + span(age(s.at, c.At)) + " ago.", Command: "regmend producer"})
	}
	for _, q := range s.queues {
		if q.Paused {
			found = append(found, notice{Tone: "warn", Title: "The queue " + q.Queue + " is paused", Detail: "Somebody paused it on the queue pages; its tasks wait until it is resumed there."})
		}
	}
	return found
}

// mayScan leaves out only those that certainly do not.
func mayScan(p claims.Process) bool { return p.Kind != "producer" && p.Kind != "web" }

// course is how the work goes while nothing keeps it from going.
func course(s snapshot) notice {
	c := s.counters
	switch {
	case s.sweep != nil && !s.sweep.Ended():
		return notice{Tone: "busy", Title: "Sweeping", Detail: "The registry's catalog is being compared with all projects."}
	case s.slots > 0 || busy(s, tasks.QueueScan) || busy(s, tasks.QueueAdhoc) || busy(s, tasks.QueueRescue):
		return notice{Tone: "busy", Title: "Scanning", Detail: "Projects are being compared with the registry."}
	case c != nil && c.Pending == 0 && c.Failed == 0 && s.stash.Entries == 0:
		return notice{Tone: "good", Title: "Every project is analysed", Detail: "New projects are picked up in the next lap."}
	case c != nil && c.Pending == 0 && s.stash.Entries == 0:
		return notice{Tone: "good", Title: "Every project has its result", Detail: "Those that failed are tried again by themselves; see why below.", Command: "regmend report --failed"}
	}
	return notice{Tone: "busy", Title: "Waiting for work", Detail: "The producer fills the queue once a minute."}
}

func busy(s snapshot, queue string) bool {
	for _, q := range s.queues {
		if q.Queue == queue {
			return q.Active+q.Pending+q.Retry+q.Scheduled > 0
		}
	}
	return false
}
