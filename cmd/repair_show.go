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
	"strings"
	"time"

	"regmend/shared/postgres"

	"github.com/spf13/cobra"
)

func (v *verbs) repairShow() *cobra.Command {
	var format string
	var statements bool
	c := &cobra.Command{
		Use:   "show PLAN",
		Short: "What a plan holds, and what became of it",
		Long: `Show each item of a plan: the repository, the scan and the snapshot that prove it
missing, its age, what speaks against restoring it, and what became of it. The table
ends with who ordered what, when and why.

With --sql, instead, the statements that would insert what is open, exactly, to be run
by hand. They check nothing but the path, and no undo knows of what they inserted.`,
		Example: `  regmend repair show 1
  regmend repair show 1 --format csv > plan.csv
  regmend repair show 1 --format json | jq -r '.[] | select(.state == "refused") | .path'
  regmend repair show 1 --sql`,
		Args: takes(1, "the number of a plan"),
	}
	c.Flags().StringVar(&format, "format", "table", "table, csv or json")
	c.Flags().BoolVar(&statements, "sql", false, "instead, the statements that insert what is open")
	return v.verb(c, database, func(ctx context.Context, x *parts, args []string) error {
		id, err := planNumber(args[0])
		if err != nil {
			return err
		}
		out := bufio.NewWriter(x.process.Stdout)
		w, err := newItemWriter(format, out)
		if err != nil {
			return misuse{err}
		}
		if statements {
			w = &sqlWriter{out}
		}
		db, err := x.readyDatabase(ctx)
		if err != nil {
			return err
		}
		return errors.Join(showPlan(ctx, db, id, w), out.Flush())
	})
}

// itemWriter writes the items of a plan.
type itemWriter interface {
	begin(plan postgres.Plan) error
	item(i postgres.Item) error
	end(audit []postgres.AuditEntry) error
}

func showPlan(ctx context.Context, db *postgres.DB, id int64, w itemWriter) error {
	plan, err := thePlan(ctx, db, id)
	if err != nil {
		return err
	}
	if err := w.begin(plan); err != nil {
		return err
	}
	if err := db.Items(ctx, id, w.item); err != nil {
		return err
	}
	audit, err := db.RepairAudit(ctx, id, historyShown)
	if err != nil {
		return err
	}
	return w.end(audit)
}

func newItemWriter(format string, out *bufio.Writer) (itemWriter, error) {
	switch format {
	case "table":
		return &itemTable{out}, nil
	case "csv":
		return &itemCSV{csv.NewWriter(out)}, nil
	case "json":
		return &itemJSON{out: out}, nil
	default:
		return nil, fmt.Errorf("%q is no format: use --format table, csv or json", format)
	}
}

type itemTable struct{ out io.Writer }

const itemLine = "%6s  %10s  %-8s  %8s  %-16s  %10s  %-40s  %s"

func (w *itemTable) begin(p postgres.Plan) error {
	n := p.Counts
	fmt.Fprintf(w.out, "plan %d of run %d, %s, by %s at %s: %s\n", p.ID, p.Run, printable(p.Scope), printable(p.CreatedBy),
		p.CreatedAt.Local().Format(time.DateTime), p.State)
	fmt.Fprintf(w.out, "%d planned: %s; %d refused\n", n.Planned(), countsText(n), n.Refused)
	if p.Stopped != "" {
		fmt.Fprintf(w.out, "stopped: %s\n", printable(p.Stopped))
	}
	return w.line("ITEM", "PROJECT", "STATE", "SNAPSHOT", "CREATED (UTC)", "ROW", "PATH", "WHY")
}

// countsText is what became of what was planned.
func countsText(n postgres.RepairCounts) string {
	return fmt.Sprintf("%d open, %d applied, %d skipped, %d failed, %d undone, %d kept", n.Open, n.Applied, n.Skipped, n.Failed, n.Undone, n.Kept)
}

func (w *itemTable) item(i postgres.Item) error {
	return w.line(strconv.Itoa(i.Number), strconv.FormatInt(i.Project.ID, 10), string(i.State), number(int64(i.Snapshot)),
		createdText(i, "2006-01-02 15:04"), number(i.Row), printable(i.Path()), printable(why(i)))
}

func (w *itemTable) line(cells ...any) error {
	_, err := io.WriteString(w.out, strings.TrimRight(fmt.Sprintf(itemLine, cells...), " ")+"\n")
	return err
}

func (w *itemTable) end(audit []postgres.AuditEntry) error {
	for _, e := range audit {
		_, err := fmt.Fprintf(w.out, "%s %s by %s@%s (role %s): %s%s\n", e.At.Local().Format(time.DateTime), e.Action,
			printable(e.Actor), printable(e.Host), printable(e.Role), printable(e.What), printable(because(e.Reason)))
		if err != nil {
			return err
		}
	}
	return nil
}

func because(reason string) string {
	if reason == "" {
		return ""
	}
	return ", because: " + reason
}

// number is n, "-" for none.
func number(n int64) string {
	if n == 0 {
		return "-"
	}
	return strconv.FormatInt(n, 10)
}

func createdText(i postgres.Item, layout string) string {
	if i.CreatedAt.IsZero() {
		return "-"
	}
	return i.CreatedAt.Format(layout)
}

// why is all there is to say of an item: what spoke against it, what became of it.
func why(i postgres.Item) string {
	var words []string
	if len(i.Refusals) > 0 {
		prefix := "refused: "
		if i.State != postgres.ItemRefused {
			prefix = "accepted: "
		}
		words = append(words, prefix+refusalText(i))
	}
	if i.Reason != "" {
		words = append(words, i.Reason)
	}
	if i.Doubt != "" {
		words = append(words, i.Doubt)
	}
	return strings.Join(words, "; ")
}

func refusalText(i postgres.Item) string {
	texts := make([]string, len(i.Refusals))
	for n, r := range i.Refusals {
		texts[n] = string(r)
	}
	return strings.Join(texts, ", ")
}

type itemCSV struct{ csv *csv.Writer }

func (w *itemCSV) begin(postgres.Plan) error {
	return w.csv.Write([]string{"item", "project_id", "full_path", "name", "path", "state", "scan", "snapshot", "created_at", "refusals", "reason", "doubt", "row"})
}

func (w *itemCSV) item(i postgres.Item) error {
	return w.csv.Write([]string{
		strconv.Itoa(i.Number), strconv.FormatInt(i.Project.ID, 10), cell(i.Project.FullPath), cell(i.Name), cell(i.Path()), string(i.State),
		strconv.FormatInt(i.Scan, 10), strings.TrimPrefix(number(int64(i.Snapshot)), "-"), strings.TrimPrefix(createdText(i, time.RFC3339), "-"),
		refusalText(i), cell(i.Reason), cell(i.Doubt), strings.TrimPrefix(number(i.Row), "-"),
	})
}

func (w *itemCSV) end([]postgres.AuditEntry) error {
	w.csv.Flush()
	return w.csv.Error()
}

type itemJSON struct {
	out   *bufio.Writer
	items int
}

// jsonItem is an item as JSON has it.
type jsonItem struct {
	Item      int        `json:"item"`
	ProjectID int64      `json:"project_id"`
	FullPath  string     `json:"full_path"`
	Name      string     `json:"name"`
	Path      string     `json:"path"`
	State     string     `json:"state"`
	Scan      int64      `json:"scan"`
	Snapshot  *int       `json:"snapshot"`
	CreatedAt *time.Time `json:"created_at"`
	Refusals  []string   `json:"refusals"`
	Reason    string     `json:"reason"`
	Doubt     string     `json:"doubt"`
	Row       *int64     `json:"row"`
}

func (w *itemJSON) begin(postgres.Plan) error {
	_, err := w.out.WriteString("[")
	return err
}

func (w *itemJSON) item(i postgres.Item) error {
	j := jsonItem{
		Item: i.Number, ProjectID: i.Project.ID, FullPath: i.Project.FullPath, Name: i.Name, Path: i.Path(),
		State: string(i.State), Scan: i.Scan, Refusals: []string{}, Reason: i.Reason, Doubt: i.Doubt,
	}
	for _, r := range i.Refusals {
		j.Refusals = append(j.Refusals, string(r))
	}
	if i.Snapshot != 0 {
		j.Snapshot = &i.Snapshot
	}
	if !i.CreatedAt.IsZero() {
		j.CreatedAt = &i.CreatedAt
	}
	if i.Row != 0 {
		j.Row = &i.Row
	}
	text, err := json.Marshal(j)
	if err != nil {
		return err
	}
	separator := "\n"
	if w.items > 0 {
		separator = ",\n"
	}
	w.items++
	_, err = w.out.WriteString(separator + string(text))
	return err
}

func (w *itemJSON) end([]postgres.AuditEntry) error {
	_, err := w.out.WriteString("\n]\n")
	return err
}

// sqlWriter writes the statements for what is open.
type sqlWriter struct{ out io.Writer }

func (w *sqlWriter) begin(p postgres.Plan) error {
	_, err := fmt.Fprintf(w.out, "-- Plan %d, %s, to be run by hand. What this inserts regmend repair undo does not know of.\n", p.ID, printable(p.Scope))
	return err
}

func (w *sqlWriter) item(i postgres.Item) error {
	if i.State != postgres.ItemOpen {
		return nil
	}
	_, err := fmt.Fprintf(w.out, "\n-- Item %d: %s\n%s\n", i.Number, printable(i.Path()), i.SQL())
	return err
}

func (w *sqlWriter) end([]postgres.AuditEntry) error { return nil }
