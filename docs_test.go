package main_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"regmend/consumer"
	"regmend/dashboard"
	"regmend/producer"
	"regmend/schema"
	"regmend/shared/board"
	"regmend/shared/postgres/postgrestest"
	"regmend/shared/servers/redistest"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/sirupsen/logrus"
)

// The documentation names what is in the code, all of it and nothing else.

func readText(t *testing.T, file string) string {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// matches are what the pattern's group matches, sorted and each once.
func matches(pattern, text string) []string {
	var found []string
	for _, match := range regexp.MustCompile(pattern).FindAllStringSubmatch(text, -1) {
		found = append(found, match[1])
	}
	slices.Sort(found)
	return slices.Compact(found)
}

func mustBeDocumented(t *testing.T, inCode, inDocs []string) {
	t.Helper()
	slices.Sort(inCode)
	if diff := cmp.Diff(inCode, inDocs); diff != "" {
		t.Errorf("in the code, but not documented (-), or documented, but not in the code (+):\n%s", diff)
	}
}

// tableOf is the table of the text whose header begins with that word.
func tableOf(t *testing.T, text, word string) string {
	t.Helper()
	_, table, found := strings.Cut(text, "\n| "+word+" |")
	if !found {
		t.Fatalf("no table of %s", word)
	}
	table, _, _ = strings.Cut(table, "\n\n")
	return table
}

const firstCell = "(?m)^\\| `([a-z_]+)` \\|"

func TestEverySettingIsDocumented(t *testing.T) {
	settings, err := postgrestest.New(t).DB.Settings(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	table := tableOf(t, readText(t, "docs/operations.md"), "setting")
	var keys []string
	for _, s := range settings {
		keys = append(keys, s.Key)
		if s.Default != "" && !strings.Contains(table, "| `"+s.Key+"` | "+s.Default+" |") {
			t.Errorf("the default of %s, %s, is not documented", s.Key, s.Default)
		}
	}
	mustBeDocumented(t, keys, matches(firstCell, table))
}

func TestEveryKindOfHoldIsDocumented(t *testing.T) {
	kinds := []string{board.HoldRun, board.HoldPostgres, board.HoldRegistry, board.HoldCatalog, board.HoldWitness, board.HoldShrunk}
	mustBeDocumented(t, kinds, matches("(?m)^\\| `([a-z]+)`", tableOf(t, readText(t, "docs/operations.md"), "kind")))
}

func TestEveryMetricIsDocumented(t *testing.T) {
	text := readText(t, "docs/operations.md")
	for process, metrics := range map[string][]string{
		"producer": described(producer.NewMetrics().Collectors()),
		"consumer": described(consumer.NewMetrics().Collectors()),
		"web":      matches(`(?m)^# HELP (regmend_\w+)`, scrapeWeb(t)),
	} {
		t.Run(process, func(t *testing.T) {
			mustBeDocumented(t, metrics, matches(firstCell, tableOf(t, text, process)))
		})
	}
}

func described(collectors []prometheus.Collector) []string {
	descriptions := make(chan *prometheus.Desc, 100)
	for _, c := range collectors {
		c.Describe(descriptions)
	}
	close(descriptions)
	var text strings.Builder
	for d := range descriptions {
		text.WriteString(d.String())
	}
	return matches(`fqName: "(\w+)"`, text.String())
}

// scrapeWeb is what the pages' /metrics says where everything is known.
func scrapeWeb(t *testing.T) string {
	t.Helper()
	db, rdb := postgrestest.New(t), redistest.New(t)
	run := db.Run(t)
	notices := board.New(rdb)
	if err := notices.SetCounters(t.Context(), board.Counters{Run: run.ID, At: time.Now()}); err != nil {
		t.Fatal(err)
	}
	if err := notices.SetWitness(t.Context(), board.Witness{Run: run.ID, At: time.Now()}, time.Minute); err != nil {
		t.Fatal(err)
	}
	log := logrus.New()
	log.SetOutput(io.Discard)
	src := dashboard.Sources{DB: db.DB, Migrations: schema.Migrations, Redis: rdb}
	pages, err := dashboard.New(src, log, dashboard.Config{Listen: "127.0.0.1:9780"})
	if err != nil {
		t.Fatal(err)
	}
	answer := httptest.NewRecorder()
	pages.ServeHTTP(answer, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "http://localhost/metrics", nil))
	return answer.Body.String()
}

// Keys that end in a kind or name are documented with it in capitals.
func TestEveryRedisKeyIsDocumented(t *testing.T) {
	files, err := filepath.Glob("shared/*/keys.go")
	if err != nil || len(files) == 0 {
		t.Fatalf("no keys: %v", err)
	}
	var keys []string
	for _, file := range files {
		keys = append(keys, matches(`"(regmend:[^"]*)"`, readText(t, file))...)
	}
	mustBeDocumented(t, keys, matches("(?m)^\\| `(regmend:[a-z:-]+?)(?:[A-Z]+)?` \\|", readText(t, "docs/redis.md")))
}
