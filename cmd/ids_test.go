package cmd_test

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"

	"regmend/cmd"

	"github.com/google/go-cmp/cmp"
)

func TestParseIDs(t *testing.T) {
	for name, c := range map[string]struct {
		in   string
		want []int64
	}{
		"nothing":                {"", nil},
		"one a line":             {"1\n2\n3\n", []int64{1, 2, 3}},
		"no newline at the end":  {"1\n2", []int64{1, 2}},
		"blanks, tabs, commas":   {"1 2,3\t4, 5;6", []int64{1, 2, 3, 4, 5, 6}},
		"lines of Windows":       {"1\r\n2\r\n", []int64{1, 2}},
		"a byte order mark":      {"\uFEFF1\n2", []int64{1, 2}},
		"remarks":                {"# all of them, 5\n1 # one\n2#two\n", []int64{1, 2}},
		"the highest ID":         {"9223372036854775807", []int64{9223372036854775807}},
		"repetitions stay":       {"2 1 2", []int64{2, 1, 2}},
		"leading zeros are fine": {"007", []int64{7}},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := cmd.ParseIDs("ids.txt", strings.NewReader(c.in))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("ids (-want +got):\n%s", diff)
			}
		})
	}
}

func TestP17_EachBadIDHasALineWithItsNumber(t *testing.T) {
	for name, c := range map[string]struct{ in, want string }{
		"a word":             {"1\nfoo\n", `ids.txt, line 2: "foo" is not a project ID`},
		"zero":               {"0", `ids.txt, line 1: "0" is not a project ID`},
		"a negative one":     {"1 -5", `ids.txt, line 1: "-5" is not a project ID`},
		"a sign":             {"+5", `"+5" is not`},
		"a fraction":         {"1.0", `"1.0" is not`},
		"hexadecimal":        {"0x10", `"0x10" is not`},
		"other digits":       {"١٢", `"١٢" is not`},
		"one too high":       {"9223372036854775808", `"9223372036854775808" is not`},
		"a path":             {"# projects\n\ngroup/app", `ids.txt, line 3: "group/app" is not`},
		"control codes":      {"\x1b[31m", `"\x1b[31m" is not`},
		"not UTF-8":          {"\xff", `"�" is not`},
		"an endless word":    {strings.Repeat("9", 1000), `"` + strings.Repeat("9", 40) + `…" is not`},
		"a mark in mid-file": {"1\n\uFEFF2", `line 2: "\ufeff2" is not`},
	} {
		t.Run(name, func(t *testing.T) {
			ids, err := cmd.ParseIDs("ids.txt", strings.NewReader(c.in))
			if err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "\n") {
				t.Errorf("ParseIDs() = %v, %v, want one line with %q", ids, err, c.want)
			}
			if ids != nil {
				t.Errorf("ParseIDs() = %v beside an error, want none", ids)
			}
		})
	}
}

func TestP17_ManyBadIDsAreCounted(t *testing.T) {
	_, err := cmd.ParseIDs("-", strings.NewReader(strings.Repeat("x\n", 27)))
	lines := strings.Split(err.Error(), "\n")
	if len(lines) != 11 || lines[10] != "and 17 more" {
		t.Errorf("got %d lines, the last %q, want 10 and \"and 17 more\"", len(lines), lines[len(lines)-1])
	}
}

func FuzzParseIDs(f *testing.F) {
	f.Add("1\n2, 3 # four\n")
	f.Add("\uFEFF1\r\n")
	f.Add("1 x\n0")
	f.Add("#")
	f.Fuzz(func(t *testing.T, in string) {
		ids, err := cmd.ParseIDs("in", strings.NewReader(in))
		if err != nil && ids != nil {
			t.Fatalf("ParseIDs(%q) = %v and %v", in, ids, err)
		}
		if strings.Count(fmt.Sprint(err), "\n") > 10 {
			t.Fatalf("ParseIDs(%q): more than eleven lines: %v", in, err)
		}
		var text strings.Builder
		for _, id := range ids {
			if id < 1 {
				t.Fatalf("ParseIDs(%q) has %d", in, id)
			}
			text.WriteString(strconv.FormatInt(id, 10) + "\n")
		}
		again, err := cmd.ParseIDs("again", strings.NewReader(text.String()))
		if err != nil || !slices.Equal(ids, again) {
			t.Fatalf("ParseIDs(%q) = %v, but once more %v, %v", in, ids, again, err)
		}
	})
}
