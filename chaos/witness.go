package main

import (
	"context"
	_ "embed"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/lib/pq"
	"github.com/redis/go-redis/v9"
)

// witness sees what regmend does while it does it: every write of the result
// table, what is in the stash, and when scan numbers were given out.
type witness struct {
	in    *installation
	truth *truth
	end   context.CancelFunc
	ended sync.WaitGroup

	reading sync.Mutex // one look at a time
	at      string     // the last transaction read that wrote results
	sweptAt string     // and that moved a sweep on

	lookedAt string // and that had a first look

	repairLog repairLog

	mu      sync.Mutex
	writes  []write
	courses []course // of sweeps
	glances []glance
	looks   []look // at the stash
	stashed []sighting
	numbers []number
	begins  map[runOf]begin
	epoch   int // how often the database was replaced
}

// write is one of the result table. Those of a project were committed in the
// order of their ID.
type write struct {
	Epoch     int            `db:"-"`
	ID        int64          `db:"id"`
	XID       string         `db:"xid"`
	At        time.Time      `db:"at"`
	Op        string         `db:"op"`
	ProjectID int64          `db:"project_id"`
	New       row            `db:"new"`
	Old       row            `db:"old"`
	Missing   pq.StringArray `db:"missing"`
}

// row is one of the result table; zero where there is none.
type row struct {
	Run      int64  `db:"run"`
	Scan     int64  `db:"scan"`
	Failure  int64  `db:"failure"`
	Status   string `db:"status"`
	FullPath string `db:"full_path"`
	Method   string `db:"method"`
	Pages    int    `db:"pages"`
	Listed   int    `db:"listed"`
	Missing  int    `db:"missing_count"`
	Error    string `db:"error"`
	// Contradiction is what catalog and listing disagreed about.
	Contradiction string `db:"contradiction"`
}

// look is one at the stash: what was there all the time from its begin to its
// end, it has seen.
type look struct {
	epoch      int
	begin, end time.Time
}

// sighting is a completed result that the look of that index saw in the stash.
type sighting struct {
	look      int
	projectID int64
	scan      int64
}

// begin is that of a run: its scan numbers are higher.
type begin struct {
	scan int64
	at   time.Time
}

// runOf is a run in a state of the database.
type runOf struct {
	epoch int
	run   int64
}

// number says which scan number was the last one at a time.
type number struct {
	epoch int
	at    time.Time
	last  int64
}

//go:embed log.sql
var createLog string

// witnessEvery is the pause between two looks.
const witnessEvery = 250 * time.Millisecond

// watch begins to record. regmend's schema is there, its processes are not.
func (in *installation) watch(ctx context.Context) (*witness, error) {
	if _, err := in.database.sql.ExecContext(ctx, createLog); err != nil {
		return nil, err
	}
	truth, err := newTruth(ctx, in.database.sql, in.registry.tagged(), in.registry.pushed)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(ctx)
	w := &witness{in: in, truth: truth, end: cancel, at: "0", sweptAt: "0", lookedAt: "0", begins: map[runOf]begin{}}
	w.repairLog.touchedAt, w.repairLog.stagedAt = "0", "0"
	w.ended.Go(func() { w.every(ctx, w.look) })
	w.ended.Go(func() { w.every(ctx, w.lookAtStash) })
	return w, nil
}

// every looks again and again. A server that is away is looked at later: what
// it holds is still there then.
func (w *witness) every(ctx context.Context, look func(context.Context) error) {
	tick := time.NewTicker(witnessEvery)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			_ = look(ctx)
		case <-ctx.Done():
			return
		}
	}
}

func (w *witness) stop() {
	w.end()
	w.ended.Wait()
}

const selectWrites = `
SELECT id, xid, at, op, project_id, missing,
       coalesce((new).run_id, 0) AS "new.run", coalesce((new).scan_number, 0) AS "new.scan",
       coalesce((new).failure_scan_number, 0) AS "new.failure", coalesce((new).status, '') AS "new.status",
       coalesce((new).full_path, '') AS "new.full_path", coalesce((new).method, '') AS "new.method",
       coalesce((new).pages, 0) AS "new.pages", coalesce((new).listed, 0) AS "new.listed",
       coalesce((new).missing_count, 0) AS "new.missing_count", coalesce((new).error, '') AS "new.error",
       coalesce((new).contradiction, '') AS "new.contradiction",
       coalesce((old).run_id, 0) AS "old.run", coalesce((old).scan_number, 0) AS "old.scan",
       coalesce((old).failure_scan_number, 0) AS "old.failure", coalesce((old).status, '') AS "old.status"
FROM chaos.writes WHERE xid > $1::xid8 AND xid < pg_snapshot_xmin(pg_current_snapshot())
ORDER BY xid, id`

// look reads the writes since the last look, of transactions before which none
// is open any more: no other one can come in behind them.
func (w *witness) look(ctx context.Context) error {
	w.reading.Lock()
	defer w.reading.Unlock()
	return w.read(ctx)
}

func (w *witness) read(ctx context.Context) error {
	if err := w.readCourses(ctx); err != nil {
		return err
	}
	if err := w.readGlances(ctx); err != nil {
		return err
	}
	if w.in.repairs != nil {
		if err := w.readRepairs(ctx); err != nil {
			return err
		}
	}
	db := w.in.database.sql
	n := number{epoch: w.epochNow(), at: time.Now()}
	if err := db.GetContext(ctx, &n.last, `SELECT last_value FROM regmend.scan_number`); err != nil {
		return err
	}
	var runs []struct {
		ID   int64     `db:"id"`
		Scan int64     `db:"scan_number"`
		At   time.Time `db:"started_at"`
	}
	if err := db.SelectContext(ctx, &runs, `SELECT id, scan_number, started_at FROM regmend.runs`); err != nil {
		return err
	}
	var writes []write
	if err := db.SelectContext(ctx, &writes, selectWrites, w.at); err != nil {
		return err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.numbers = append(w.numbers, n)
	for _, r := range runs {
		w.begins[runOf{w.epoch, r.ID}] = begin{r.Scan, r.At}
	}
	for _, found := range writes {
		found.Epoch = w.epoch
		w.writes = append(w.writes, found)
		w.at = found.XID
	}
	return nil
}

// stashOrder is the sorted set of what waits in the stash, by scan number.
const stashOrder = "regmend:stash:order"

func (w *witness) lookAtStash(ctx context.Context) error {
	l := look{epoch: w.epochNow(), begin: time.Now()}
	entries, err := w.in.redis.client().ZRangeWithScores(ctx, stashOrder, 0, -1).Result()
	if err != nil {
		return err
	}
	l.end = time.Now()
	w.mu.Lock()
	defer w.mu.Unlock()
	w.looks = append(w.looks, l)
	for _, entry := range entries {
		if s, ok := completedEntry(entry); ok {
			s.look = len(w.looks) - 1
			w.stashed = append(w.stashed, s)
		}
	}
	return nil
}

// completedEntry reads an entry of the stash, if it is of a completed result.
func completedEntry(entry redis.Z) (sighting, bool) {
	field, _ := entry.Member.(string)
	id, completed := strings.CutSuffix(field, ":c")
	project, err := strconv.ParseInt(id, 10, 64)
	return sighting{projectID: project, scan: int64(entry.Score)}, completed && err == nil
}

func (w *witness) epochNow() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.epoch
}

// settle reads what was written so far; nothing is read until replaced is
// called. The database is about to be replaced by another state of it, which
// regmend may see before replaced is called.
func (w *witness) settle(ctx context.Context) error {
	w.reading.Lock()
	if err := w.read(ctx); err != nil {
		w.reading.Unlock()
		return err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.epoch++
	return nil
}

// replaced goes on after settle with the other state of the database.
func (w *witness) replaced(ctx context.Context) error {
	defer w.reading.Unlock()
	db := w.in.database.sql
	var last string
	if err := db.GetContext(ctx, &last, `SELECT coalesce(max(xid), '0') FROM chaos.writes`); err != nil {
		return err
	}
	if err := w.truth.replaced(ctx, db); err != nil {
		return err
	}
	w.at, w.sweptAt, w.lookedAt = last, last, last
	return nil
}
