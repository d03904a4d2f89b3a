package cmd

import (
	"bufio"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"regmend/shared/gitlab"
)

// reportWriter writes results one by one, holding none back.
type reportWriter interface {
	begin() error
	row(r result) error
	end() error
}

// tableWriter has fixed columns, the widest last, as a table that fits its rows
// would have to wait for all of them.
type tableWriter struct {
	out  io.Writer
	rows int
}

const tableRow = "%10s  %-9s  %7s  %-16s  %-40s  %s"

func (w *tableWriter) begin() error {
	return w.line("PROJECT", "STATUS", "MISSING", "UPDATED (UTC)", "FULL PATH", "MISSING REPOSITORIES, OR WHY IT FAILED")
}

func (w *tableWriter) row(r result) error {
	w.rows++
	return w.line(strconv.FormatInt(r.ProjectID, 10), string(r.Status), strconv.Itoa(r.MissingCount),
		r.UpdatedAt.Format("2006-01-02 15:04"), printable(r.FullPath), printable(r.detail()))
}

func (w *tableWriter) line(cells ...any) error {
	_, err := io.WriteString(w.out, strings.TrimRight(fmt.Sprintf(tableRow, cells...), " ")+"\n")
	return err
}

func (w *tableWriter) end() error {
	if w.rows > 0 {
		return nil
	}
	_, err := io.WriteString(w.out, "no such results\n")
	return err
}

// detail is what is missing, or why the last scan failed.
func (r result) detail() string {
	if r.Status == gitlab.Failed {
		return r.reason()
	}
	detail := strings.Join(r.MissingPaths, " ")
	if len(r.TooYoung) > 0 {
		detail += " (too young to be counted: " + strings.Join(r.TooYoung, " ") + ")"
	}
	if r.Error != nil {
		detail += " (a later scan failed: " + r.reason() + ")"
	}
	return detail
}

// csvWriter writes what spreadsheets read. Lists are separated by blanks, which
// no repository's name has.
type csvWriter struct{ csv *csv.Writer }

func newCSVWriter(out io.Writer) *csvWriter { return &csvWriter{csv.NewWriter(out)} }

func (w *csvWriter) begin() error {
	return w.csv.Write([]string{"project_id", "full_path", "status", "missing_count", "missing", "missing_paths", "updated_at", "error", "too_young"})
}

func (w *csvWriter) row(r result) error {
	return w.csv.Write([]string{
		strconv.FormatInt(r.ProjectID, 10), cell(r.FullPath), string(r.Status), strconv.Itoa(r.MissingCount),
		cell(strings.Join(r.Missing, " ")), cell(strings.Join(r.MissingPaths, " ")), r.UpdatedAt.Format(time.RFC3339), cell(r.reason()),
		cell(strings.Join(r.TooYoung, " ")),
	})
}

func (w *csvWriter) end() error {
	w.csv.Flush()
	return w.csv.Error()
}

// formulaBegins are the characters that begin a formula, also in full width, as
// some spreadsheets have it; and the ' before them, lest it be taken for ours.
const formulaBegins = "=+-@＝＋－＠'"

// cell is text that no spreadsheet takes for anything else: on one line, without
// the semicolons that separate cells in half of the world, and with a ' before
// what would be a formula.
func cell(text string) string {
	text = strings.ReplaceAll(printable(text), ";", ",")
	first, _ := utf8.DecodeRuneInString(strings.TrimLeft(text, " "))
	if first != utf8.RuneError && strings.ContainsRune(formulaBegins, first) {
		return "'" + text
	}
	return text
}

// jsonWriter writes an array, a row a line. One that was cut off is no JSON.
type jsonWriter struct {
	out  *bufio.Writer
	rows int
}

func (w *jsonWriter) begin() error {
	_, err := w.out.WriteString("[")
	return err
}

func (w *jsonWriter) row(r result) error {
	text, err := json.Marshal(r)
	if err != nil {
		return err
	}
	separator := "\n"
	if w.rows > 0 {
		separator = ",\n"
	}
	w.rows++
	if _, err := w.out.WriteString(separator); err != nil {
		return err
	}
	_, err = w.out.Write(text)
	return err
}

func (w *jsonWriter) end() error {
	_, err := w.out.WriteString("\n]\n")
	return err
}
