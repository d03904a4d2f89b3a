package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"testing"
)

// mechanisms are those that have a trial.
var mechanisms = []string{
	"claim", "slot-lease", "slot-fencing", "scan-number", "evidence-constraint", "ack-after-commit",
	"ack-what-was-written", "control-listing", "witness", "run-identity", "own-prefix-filter", "second-look",
	"poison-halving", "two-looks", "sweep-route", "sweep-position", "sweep-sample",
	"repair-rules", "repair-contents",
}

var kindsLine = regexp.MustCompile(`(?m)\A.+\nkinds: (\S+)$`)

// Each patch says what it takes out and which kinds its trial has, and can
// still be applied.
func TestAblations(t *testing.T) {
	patches, err := filepath.Glob("ablations/*.patch")
	if err != nil {
		t.Fatal(err)
	}
	there := map[string]bool{}
	for _, patch := range patches {
		name := filepath.Base(patch[:len(patch)-len(".patch")])
		there[name] = true
		t.Run(name, func(t *testing.T) { checkAblation(t, patch) })
	}
	for _, name := range mechanisms {
		if !there[name] {
			t.Errorf("the trial without %s is missing", name)
		}
	}
}

func checkAblation(t *testing.T, patch string) {
	text, err := os.ReadFile(patch)
	if err != nil {
		t.Fatal(err)
	}
	line := kindsLine.FindSubmatch(text)
	if line == nil {
		t.Fatalf("%s does not begin with what is taken out and a line of kinds:\n%.300s", patch, text)
	}
	if _, err := selectKinds(allKinds(), string(line[1])); err != nil {
		t.Errorf("%s: %v", patch, err)
	}
	apply := exec.Command("git", "apply", "--check", "chaos/"+filepath.ToSlash(patch))
	apply.Dir = ".."
	if out, err := apply.CombinedOutput(); err != nil {
		t.Errorf("git apply --check: %v\n%s", err, out)
	}
}
