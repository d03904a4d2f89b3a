package cmd_test

import (
	"bytes"
	"encoding/csv"
	"strings"
	"testing"

	"regmend/cmd"

	"github.com/google/go-cmp/cmp"
)

func TestCSVCells(t *testing.T) {
	for text, want := range map[string]string{
		"":                         "",
		"group/app":                "group/app",
		" a/b":                     " a/b",
		"_app":                     "_app",
		"=1+1":                     "'=1+1",
		"+1":                       "'+1",
		"-1":                       "'-1",
		"@SUM(1)":                  "'@SUM(1)",
		"  =1+1":                   "'  =1+1",
		"＝1＋1":                     "'＝1＋1",
		"＠x":                       "'＠x",
		"'=1":                      "''=1",
		"\t=1":                     "�=1",
		"\r=1":                     "�=1",
		"\n=1":                     "�=1",
		"a;=1":                     "a,=1",
		`a";"=1`:                   `a","=1`,
		"\x1b[31mred":              "�[31mred",
		"=cmd|' /C calc'!A0":       "'=cmd|' /C calc'!A0",
		`=HYPERLINK("http://x";1)`: `'=HYPERLINK("http://x",1)`,
	} {
		if got := cmd.CSVCell(text); got != want {
			t.Errorf("cell of %q = %q, want %q", text, got, want)
		}
	}
}

// Whatever the text, a spreadsheet finds text, by whatever it separates cells.
func FuzzCSVCell(f *testing.F) {
	for _, seed := range []string{"", "=1", "'=1", ` "a;=1`, "\t=\n", "ü＝", "a,b"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		var line bytes.Buffer
		w := csv.NewWriter(&line)
		if err := w.Write([]string{"1", cmd.CSVCell(text)}); err != nil {
			t.Fatal(err)
		}
		w.Flush()
		if n := strings.Count(line.String(), "\n"); n != 1 || strings.ContainsAny(line.String(), ";\t\r") {
			t.Fatalf("%q does not stay one cell in one line", line.String())
		}
		cells, err := csv.NewReader(&line).Read()
		if err != nil {
			t.Fatal(err)
		}
		if strings.ContainsAny(strings.TrimLeft(cells[1], " ")[:min(1, len(strings.TrimLeft(cells[1], " ")))], "=+-@") {
			t.Errorf("%q is a formula", cells[1])
		}
		if text != cmd.Printable(text) || strings.Contains(text, ";") {
			return // no path is like that
		}
		if diff := cmp.Diff(text, strings.TrimPrefix(cells[1], "'")); diff != "" {
			t.Errorf("back again (-want +got):\n%s", diff)
		}
	})
}
