package cmd

import (
	"bufio"
	"context"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"time"

	"regmend/consumer"
	"regmend/shared/postgres"
	"regmend/shared/registry"
	"regmend/shared/slots"
)

// reportGhosts looks for rows whose repository the registry does not know, and
// prints them as they are found.
func (x *parts) reportGhosts(ctx context.Context, format, namespace string) error {
	out := bufio.NewWriter(x.process.Stdout)
	w, err := newGhostWriter(format, out)
	if err != nil {
		return misuse{err}
	}
	db, rdb, err := x.both(ctx)
	if err != nil {
		return err
	}
	if _, err := stateOfRun(ctx, db); err != nil {
		return err
	}
	if namespace != "" {
		if err := findNamespace(ctx, db, namespace); err != nil {
			return err
		}
	}
	budget := slots.NewBudget()
	reg, err := x.registry(func(c *registry.Config) { c.Admit = budget.Spend })
	if err != nil {
		return err
	}
	watch := postgres.NewWatch(db, x.log)
	search := consumer.NewGhosts(db, watch, rdb, reg, x.log, processName(), slots.Config{Budget: budget})
	hunt := &hunt{out: out, writer: w, stderr: x.process.Stderr}
	err = alongside(ctx, func(ctx context.Context) error {
		return hunt.ended(search.Find(ctx, namespace, hunt.haunted))
	}, search.Run, watch.Run)
	return errors.Join(err, out.Flush())
}

// hunt is a search for ghosts, as it is shown.
type hunt struct {
	out     *bufio.Writer
	writer  ghostWriter
	stderr  io.Writer
	ghosts  int
	skipped int
}

func (h *hunt) haunted(found consumer.Haunted) error {
	for _, reason := range found.Skipped {
		h.skipped++
		fmt.Fprintf(h.stderr, "regmend: %s\n", printable(reason.Error()))
	}
	for _, r := range found.Ghosts {
		if err := h.writer.row(r, h.ghosts == 0); err != nil {
			return err
		}
		h.ghosts++
	}
	return h.out.Flush()
}

// ended ends the list; that of a search which was cut short stays open.
func (h *hunt) ended(err error) error {
	switch {
	case err != nil && h.ghosts > 0:
		return fmt.Errorf("the search for ghosts was cut short, and what is above is not all: %w", err)
	case err != nil:
		return err
	}
	if err := h.writer.end(h.ghosts == 0); err != nil {
		return err
	}
	if h.skipped > 0 {
		return fmt.Errorf("of %s nothing is known: see above", counted(h.skipped, "project", "projects"))
	}
	return nil
}

// ghostWriter writes rows one by one; end says whether there were none.
type ghostWriter interface {
	row(r postgres.Row, first bool) error
	end(none bool) error
}

func newGhostWriter(format string, out *bufio.Writer) (ghostWriter, error) {
	switch format {
	case "table":
		return ghostTable{out}, nil
	case "csv":
		return ghostCSV{csv.NewWriter(out)}, nil
	case "json":
		return ghostJSON{out}, nil
	default:
		return nil, fmt.Errorf("%q is no format: use --format table, csv or json", format)
	}
}

type ghostTable struct{ out io.Writer }

func (w ghostTable) row(r postgres.Row, first bool) error {
	const line = "%10s  %10s  %-16s  %s\n"
	if first {
		if _, err := fmt.Fprintf(w.out, line, "PROJECT", "ROW", "CREATED (UTC)", "REPOSITORY"); err != nil {
			return err
		}
	}
	_, err := fmt.Fprintf(w.out, line, strconv.FormatInt(r.Project.ID, 10), strconv.FormatInt(r.ID, 10),
		r.CreatedAt.Format("2006-01-02 15:04"), printable(r.Path()))
	return err
}

func (w ghostTable) end(none bool) error {
	if !none {
		return nil
	}
	_, err := io.WriteString(w.out, "no ghosts\n")
	return err
}

type ghostCSV struct{ csv *csv.Writer }

func (w ghostCSV) head() error {
	return w.csv.Write([]string{"project_id", "full_path", "row_id", "name", "path", "created_at"})
}

func (w ghostCSV) row(r postgres.Row, first bool) error {
	if first {
		if err := w.head(); err != nil {
			return err
		}
	}
	err := w.csv.Write([]string{
		strconv.FormatInt(r.Project.ID, 10), cell(r.Project.FullPath), strconv.FormatInt(r.ID, 10),
		cell(r.Name), cell(r.Path()), r.CreatedAt.Format(time.RFC3339),
	})
	w.csv.Flush()
	return errors.Join(err, w.csv.Error())
}

func (w ghostCSV) end(none bool) error {
	if !none {
		return nil
	}
	err := w.head()
	w.csv.Flush()
	return errors.Join(err, w.csv.Error())
}

// ghostJSON writes an array, a row a line. One that was cut off is no JSON.
type ghostJSON struct{ out io.Writer }

func (w ghostJSON) row(r postgres.Row, first bool) error {
	text, err := json.Marshal(struct {
		ProjectID int64     `json:"project_id"`
		FullPath  string    `json:"full_path"`
		RowID     int64     `json:"row_id"`
		Name      string    `json:"name"`
		Path      string    `json:"path"`
		CreatedAt time.Time `json:"created_at"`
	}{r.Project.ID, r.Project.FullPath, r.ID, r.Name, r.Path(), r.CreatedAt})
	if err != nil {
		return err
	}
	separator := ",\n"
	if first {
		separator = "[\n"
	}
	_, err = io.WriteString(w.out, separator+string(text))
	return err
}

func (w ghostJSON) end(none bool) error {
	end := "\n]\n"
	if none {
		end = "[\n]\n"
	}
	_, err := io.WriteString(w.out, end)
	return err
}
