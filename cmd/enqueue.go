package cmd

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"time"

	"regmend/shared/board"
	"regmend/shared/postgres"
	"regmend/shared/tasks"

	"github.com/redis/go-redis/v9"
	"github.com/spf13/cobra"
)

func (v *verbs) enqueue() *cobra.Command {
	var s selection
	var force, dry bool
	c := &cobra.Command{
		Use:   "enqueue [ID...]",
		Short: "Scan some projects before all others",
		Long: `Put projects at the head of the queue: those given by ID, those of a file, those of
a group, or those that failed. Projects that are analysed already are left out,
unless --force; failed ones are always scanned again with --failed.

A file has project IDs, one a line or several between blanks or commas; what follows
a # is a remark. If anything in it is not an ID, nothing is enqueued. IDs of no
project are listed, the others enqueued, and the exit code is 1.

--dry-run tells the price and changes nothing: how many requests it takes at least,
and about how long, at the latency that a few requests show now and at what
max_concurrency and requests_per_second allow; and how long with as many slots as the
brake leaves now, where that differs.`,
		Example: `  regmend enqueue 42 4711
  regmend enqueue --file ids.txt
  psql -Atc 'SELECT id FROM projects WHERE archived' | regmend enqueue --file -
  regmend enqueue --namespace group/sub --force
  regmend enqueue --namespace group --dry-run
  regmend enqueue --failed`,
	}
	c.Flags().StringVar(&s.file, "file", "", "read IDs from that `file`; - is standard input")
	c.Flags().StringVar(&s.namespace, "namespace", "", "the project or group of that full `path`, and what is below it")
	c.Flags().BoolVar(&s.failed, "failed", false, "those that failed, without waiting for their next try")
	c.Flags().BoolVar(&force, "force", false, "scan again what is analysed already")
	c.Flags().BoolVar(&dry, "dry-run", false, "tell the price and enqueue nothing")
	return v.choosy(c, database|queue|registryHost, registryIf(&dry), func(ctx context.Context, x *parts, args []string) error {
		if err := s.read(args, x.process.Stdin); err != nil {
			return err
		}
		return x.enqueue(ctx, s, force || s.failed, dry)
	})
}

// registryIf are the parts of a verb that asks the registry for a dry run only.
func registryIf(dry *bool) func() part {
	return func() part {
		if *dry {
			return database | queue | registryHost
		}
		return database | queue
	}
}

func (x *parts) enqueue(ctx context.Context, s selection, force, dry bool) error {
	db, rdb, err := x.both(ctx)
	if err != nil {
		return err
	}
	state, err := stateOfRun(ctx, db)
	if err != nil {
		return err
	}
	if s.namespace != "" {
		if err := findNamespace(ctx, db, s.namespace); err != nil {
			return err
		}
	}
	e := newEnqueuer(db, rdb, state, force)
	if dry {
		return x.price(ctx, db, state, e, s)
	}
	if err := e.all(ctx, s); err != nil {
		return fmt.Errorf("%w (%d were enqueued before)", err, e.enqueued)
	}
	e.print(x.process.Stdout)
	warnIfWaiting(ctx, x.process.Stderr, "they wait", state.Settings, board.New(rdb))
	return e.fault()
}

// price tells what enqueueing the selection would cost.
func (x *parts) price(ctx context.Context, db *postgres.DB, state postgres.State, e *enqueuer, s selection) (err error) {
	if e.estimate, err = x.newEstimate(db, state); err != nil {
		return err
	}
	if err := e.all(ctx, s); err != nil {
		return err
	}
	e.print(x.process.Stdout)
	if e.enqueued > 0 {
		e.estimate.price.print(x.process.Stdout)
	}
	return e.fault()
}

// warnIfWaiting tells why what was enqueued will not be scanned at once.
func warnIfWaiting(ctx context.Context, stderr io.Writer, waits string, s postgres.Settings, notices *board.Board) {
	reason := ""
	switch {
	case !s.ScanEnabled:
		reason = "scanning is disabled (regmend enable)"
	case s.MaxConcurrency == 0:
		reason = "max_concurrency is 0 (regmend settings set max_concurrency 2)"
	case !s.ActiveHours.Include(time.Now()):
		reason = "it is outside of active_hours " + s.ActiveHours.String()
	default:
		if holds, err := notices.Holds(ctx); err == nil && len(holds) > 0 {
			reason = "scanning holds: " + reasonsOf(holds)
		}
	}
	if reason != "" {
		fmt.Fprintf(stderr, "regmend: warning: %s, as %s\n", waits, printable(reason))
	}
}

// selection is which projects are to be enqueued: one of its fields.
type selection struct {
	ids       []int64
	file      string
	namespace string
	failed    bool
}

// read reads the IDs that are given one by one, and refuses none or two ways of
// giving them.
func (s *selection) read(args []string, stdin io.Reader) error {
	ways := 0
	for _, given := range []bool{len(args) > 0, s.file != "", s.namespace != "", s.failed} {
		if given {
			ways++
		}
	}
	if ways != 1 {
		return misuse{errors.New("say which projects in one way: by IDs, --file, --namespace or --failed (see regmend enqueue --help)")}
	}
	ids, err := s.given(args, stdin)
	slices.Sort(ids)
	s.ids = slices.Compact(ids)
	return err
}

func (s *selection) given(args []string, stdin io.Reader) ([]int64, error) {
	switch s.file {
	case "":
		return idsOf(args)
	case "-":
		return parseIDs("standard input", stdin)
	}
	file, err := os.Open(s.file)
	if err != nil {
		return nil, misuse{err}
	}
	ids, err := parseIDs(s.file, file)
	return ids, errors.Join(err, file.Close())
}

// idsOf reads IDs from the command line.
func idsOf(args []string) ([]int64, error) {
	var ids []int64
	var faults faultList
	for _, arg := range args {
		id, err := parseID(arg)
		if err != nil {
			faults.add(err.Error())
		}
		ids = append(ids, id)
	}
	return ids, faults.err()
}

// selectionPage is how many projects are looked at together.
const selectionPage = 5000

// each visits the selected projects, a page at a time.
func (s *selection) each(ctx context.Context, db *postgres.DB, run postgres.Run, visit func(ids []int64) error) error {
	for from := int64(0); ; {
		ids, err := s.page(ctx, db, run, from)
		if err != nil || len(ids) == 0 {
			return err
		}
		if err := visit(ids); err != nil {
			return err
		}
		from = ids[len(ids)-1]
	}
}

// page is the selected projects with IDs above from, the lowest of them.
func (s *selection) page(ctx context.Context, db *postgres.DB, run postgres.Run, from int64) ([]int64, error) {
	switch {
	case s.namespace != "":
		return db.Namespace(ctx, s.namespace, from, selectionPage)
	case s.failed:
		return db.FailedIDs(ctx, run, from, selectionPage)
	}
	begin, found := slices.BinarySearch(s.ids, from)
	if found {
		begin++
	}
	return s.ids[begin:min(begin+selectionPage, len(s.ids))], nil
}

// newEnqueuer makes one for the state that was just read.
func newEnqueuer(db *postgres.DB, rdb redis.UniversalClient, state postgres.State, force bool) *enqueuer {
	e := &enqueuer{db: db, client: tasks.NewClient(rdb), run: state.Run, size: state.Settings.BatchSize, force: force}
	if force {
		e.after = state.Scan
	}
	return e
}
