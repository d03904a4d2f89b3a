package dashboard

import (
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
	Progress  *progress
	Work      *work
	Witness   *witnessView
	Queues    []asynq.QueueInfo
	Processes []string
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
	Results int
	Limit   int // results at which a flush is due
	Bytes   int64
	Age     time.Duration
}

type witnessView struct {
	board.Witness
	Age   time.Duration
	Share int // percent found
	Least int // percent below which nothing is scanned
}

func newView(s snapshot, cfg Config) view {
	v := view{At: s.at, Version: cfg.Version, ReadOnly: !cfg.AllowWrites, Notices: notices(s)}
	if run := s.state.Run; s.postgresErr == nil && run.ID != 0 {
		v.Run = &runView{
			ID: run.ID, Reason: run.Reason, Registry: run.Registry,
			Started: run.StartedAt, Age: age(s.at, run.StartedAt),
		}
	}
	if s.redisErr != nil {
		return v
	}
	v.Progress = newProgress(s)
	v.Work = newWork(s)
	v.Witness = newWitnessView(s)
	v.Queues = s.queues
	v.Processes = s.processes
	return v
}

func newWork(s snapshot) *work {
	return &work{
		Slots: s.slots, Cap: s.state.Settings.MaxConcurrency, CapRead: s.postgresErr == nil,
		Results: s.stash.Entries, Limit: s.state.Settings.StashLimit,
		Bytes: s.stash.Bytes, Age: s.stash.Age,
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
	p := &progress{
		Counters:   c,
		Done:       c.Completed + c.Failed,
		Percent:    percent(c.Completed+c.Failed, c.Eligible),
		Ineligible: c.Projects - c.Eligible,
		Age:        age(s.at, c.At),
	}
	from := 0.0
	for _, part := range []struct {
		state  string
		number int64
	}{{"completed", c.Completed}, {"failed", c.Failed}} {
		width := barWidth(part.number, c.Eligible)
		p.Bar = append(p.Bar, segment{State: part.state, From: from, Width: width})
		from += width
	}
	return p
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
