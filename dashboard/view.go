package dashboard

import (
	"cmp"
	"slices"
	"time"

	"regmend/shared/board"

	"github.com/hibiken/asynq"
)

// view is a snapshot as the overview shows it. Parts that are nil have nothing
// to show yet, or could not be read: then a notice says so.
type view struct {
	At        time.Time
	Version   string
	ReadOnly  bool
	Notices   []notice
	Run       *runView
	Sweep     string // how far the run's last one is, "" where there is none
	Progress  *progress
	Work      *work
	Witness   *witnessView
	Queues    []asynq.QueueInfo
	Processes []processView
}

type runView struct {
	ID       int64
	Reason   string
	Registry string
	Age      time.Duration
	Started  time.Time
}

// work is what goes on at this moment.
type work struct {
	Slots   int
	Cap     int
	CapRead bool // Cap was read
	Brake   string
	Rate    string
	Results int
	Bytes   int64
	Age     time.Duration
}

type witnessView struct {
	board.Witness
	Age   time.Duration
	Share int // percent found
	Least int // percent below which nothing is scanned
}

type processView struct {
	Kind string
	Name string
	Age  time.Duration // 0: it did not say
}

func newProcessViews(s snapshot) []processView {
	var views []processView
	for _, p := range s.processes {
		v := processView{Kind: cmp.Or(p.Kind, "process"), Name: p.Name}
		if !p.StartedAt.IsZero() {
			v.Age = age(s.at, p.StartedAt)
		}
		views = append(views, v)
	}
	slices.SortStableFunc(views, func(a, b processView) int { return cmp.Compare(a.Kind, b.Kind) })
	return views
}

func newView(s snapshot, cfg Config) view {
	v := view{At: s.at, Version: cfg.Version, ReadOnly: !cfg.AllowWrites, Notices: notices(s)}
	if run := s.state.Run; s.postgresErr == nil && run.ID != 0 {
		v.Run = &runView{
			ID: run.ID, Reason: run.Reason, Registry: run.Registry,
			Started: run.StartedAt, Age: age(s.at, run.StartedAt),
		}
	}
	if s.postgresErr == nil {
		v.Sweep = sweepLine(s.sweep)
	}
	if s.redisErr != nil {
		return v
	}
	v.Progress = newProgress(s)
	v.Work = newWork(s)
	v.Witness = newWitnessView(s)
	v.Queues = s.queues
	v.Processes = newProcessViews(s)
	return v
}

func newWork(s snapshot) *work {
	return &work{
		Slots: s.slots, Cap: s.state.Settings.MaxConcurrency, CapRead: s.postgresErr == nil, Brake: brakeLine(s), Rate: rateLine(s),
		Results: s.stash.Entries,
		Bytes:   s.stash.Bytes, Age: s.stash.Age,
	}
}

func newWitnessView(s snapshot) *witnessView {
	if s.witness == nil {
		return nil
	}
	return &witnessView{
		Witness: *s.witness,
		Age:     age(s.at, s.witness.At),
		Share:   percent(int64(s.witness.Found), int64(s.witness.Sampled)),
		Least:   s.state.Settings.WitnessShare,
	}
}

// progress is how far the run is, by the leading producer's last count.
type progress struct {
	board.Counters
	Done       int64 // completed or failed
	Percent    int
	Ineligible int64
	Age        time.Duration
	Pace       float64       // projects a second; 0: not known, or none
	Left       time.Duration // at that pace
	Bar        []segment
}

// segment is a part of the bar, in thousandths of its width.
type segment struct {
	State       string
	From, Width float64
}

func newProgress(s snapshot) *progress {
	if s.counters == nil {
		return nil
	}
	c := *s.counters
	return &progress{
		Counters:   c,
		Done:       c.Completed + c.Failed,
		Percent:    percent(c.Completed+c.Failed, c.Eligible),
		Ineligible: c.Projects - c.Eligible,
		Age:        age(s.at, c.At),
		Pace:       s.pace,
		Left:       left(c.Pending, s.pace),
		Bar:        bar(c),
	}
}

// left is how long number takes at that pace; 0 if that cannot be said.
func left(number int64, pace float64) time.Duration {
	const longest = 10 * 365 * 24 * time.Hour
	if pace <= 0 {
		return 0
	}
	seconds := min(float64(number)/pace, longest.Seconds())
	return time.Duration(seconds * float64(time.Second))
}

func bar(c board.Counters) []segment {
	var segments []segment
	from := 0.0
	for _, part := range []struct {
		state  string
		number int64
	}{{"completed", c.Completed}, {"failed", c.Failed}} {
		width := barWidth(part.number, c.Eligible)
		segments = append(segments, segment{State: part.state, From: from, Width: width})
		from += width
	}
	return segments
}

// barWidth keeps a share that is not zero visible.
func barWidth(part, whole int64) float64 {
	if part <= 0 || whole <= 0 {
		return 0
	}
	return max(4, 1000*float64(part)/float64(whole))
}

// percent rounds down, so that 100 means all.
func percent(part, whole int64) int {
	if whole <= 0 {
		return 0
	}
	return int(100 * part / whole)
}
