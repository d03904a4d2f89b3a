package main_test

import (
	"io/fs"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// Each sentence of SECURITY.md's lists names the tests that show it.
func TestEverySentenceOnSecurityHasItsTests(t *testing.T) {
	known := testNames(t)
	claim := regexp.MustCompile("^- (.+?)((?: `(?:Test|Fuzz)[A-Za-z0-9_]+`)*)$")
	claims := 0
	for line := range strings.Lines(readText(t, "SECURITY.md")) {
		match := claim.FindStringSubmatch(strings.TrimSuffix(line, "\n"))
		if match == nil {
			continue
		}
		claims++
		sentence, tests := match[1], strings.Fields(strings.ReplaceAll(match[2], "`", ""))
		if len(tests) == 0 || !strings.HasSuffix(sentence, ".") || strings.Contains(sentence, ". ") {
			t.Errorf("not one sentence followed by its tests: %s", line)
		}
		for _, test := range tests {
			if !slices.Contains(known, test) {
				t.Errorf("%s does not exist: %s", test, sentence)
			}
		}
	}
	if claims < 50 {
		t.Errorf("%d sentences: the lists are not read rightly", claims)
	}
}

// testNames are those of all tests there are.
func testNames(t *testing.T) []string {
	t.Helper()
	var names []string
	err := filepath.WalkDir(".", func(path string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case entry.IsDir() && path != "." && strings.HasPrefix(entry.Name(), "."):
			return filepath.SkipDir
		case strings.HasSuffix(path, "_test.go"):
			names = append(names, matches(`(?m)^func ((?:Test|Fuzz)\w+)\(t?f? ?\*testing`, readText(t, path))...)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return names
}
