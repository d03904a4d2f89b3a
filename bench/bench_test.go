package main

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"regmend/shared/registry"

	"github.com/google/go-cmp/cmp"
)

func TestMain(m *testing.M) {
	// The stub is this program.
	if len(os.Args) == 3 && os.Args[1] == stubVerb {
		_ = serveStub(os.Args[2])
		os.Exit(1)
	}
	os.Exit(m.Run())
}

// What Go says of a path is what SQL makes of it, and what the stub reads in it.
func TestShape(t *testing.T) {
	s := shape{Projects: 5_000}
	for id := int64(1); id <= s.Projects; id++ {
		group, parsed, ok := s.parse(strings.ToLower(s.fullPath(id)))
		if !ok || parsed != id || group != id%s.groups() {
			t.Fatalf("%s is read as project %d of group %d", s.fullPath(id), parsed, group)
		}
	}
	total := 0
	for group := range s.groups() {
		for id := range s.taggedIn(group) {
			if total++; id%s.groups() != group || !tagged(id) {
				t.Fatalf("project %d is in group %d", id, group)
			}
		}
	}
	if total != 500 {
		t.Errorf("%d projects have a repository, want 500", total)
	}
}

func testStub(t *testing.T, s shape) (*stubProcess, *registry.Client) {
	t.Helper()
	stub, err := startStub(t.Context(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = stub.Kill() })
	if err := stub.begin(t.Context(), orders{Shape: s, Record: true}); err != nil {
		t.Fatal(err)
	}
	client, err := registry.New(registry.Config{URL: stub.url})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	return stub, client
}

// The catalog is what the sweep will walk.
func TestTheStubsCatalogIsWhole(t *testing.T) {
	s := shape{Projects: 20_007}
	stub, client := testStub(t, s)
	var want, got []string
	for id := int64(1); id <= s.Projects; id++ {
		if tagged(id) {
			want = append(want, s.repository(id))
		}
	}
	pages, err := client.Catalog(t.Context(), func(paths []string) error {
		got = append(got, paths...)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" || pages != 3 {
		t.Errorf("%d pages; the catalog (-want +got):\n%s", pages, diff)
	}
	if tagged, err := client.Tagged(t.Context(), want[0]); err != nil || !tagged {
		t.Errorf("Tagged() = %v, %v", tagged, err)
	}
	told, err := stub.figures(t.Context())
	if err != nil || told.Catalog != 3 || told.Tags != 1 {
		t.Errorf("the stub counted %+v, %v: want 3 pages and a request for tags", told, err)
	}
}

// What SQL leaves without a row is what a scan has to find.
func TestWhatIsMissing(t *testing.T) {
	for projects, want := range map[int64]int64{1: 0, 3: 0, 4: 1, 1003: 1, 1004: 2, 1_000_000: 1000} {
		if got := (shape{Projects: projects, Large: 7}).missing(); got != want+7 {
			t.Errorf("of %d projects and 7 repositories %d are missing, want %d", projects, got, want+7)
		}
	}
}

func TestTheStubCountsWhatIsInFlight(t *testing.T) {
	stub, _ := testStub(t, shape{Projects: 100})
	addresses := make([]string, 40)
	for i := range addresses {
		addresses[i] = listRoute + "team-1-x/app-1-web" + listEnd
	}
	if err := stub.begin(t.Context(), orders{Shape: shape{Projects: 100}, Delay: 20 * time.Millisecond}); err != nil {
		t.Fatal(err)
	}
	if err := sendAll(t.Context(), stub.url, addresses, 4); err != nil {
		t.Fatal(err)
	}
	figures, err := stub.figures(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if figures.Listings != 40 || figures.MostInFlight != 4 || figures.Busy < 40*20*time.Millisecond {
		t.Errorf("the stub counted %+v", figures)
	}
	if busy := (outcome{Stub: figures}).busy(4); busy > 1 || busy < 0.5 {
		t.Errorf("busy: %.2f of the slots", busy)
	}
}

// small is a whole bench of a few hundred projects.
var small = size{
	rounds: 1, consumers: 1, delayed: 400 * time.Millisecond, hasty: 400, delays: []time.Duration{2 * time.Millisecond},
	caps: []int{2}, shipped: time.Second, swept: 2_000, comparable: 2_000, scanned: time.Second, flushes: 2_000, noops: 200,
}

func TestAWholeBench(t *testing.T) {
	program := filepath.Join(t.TempDir(), "regmend")
	build := exec.CommandContext(t.Context(), "go", "build", "-o", program, "..")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	var out bytes.Buffer
	b := bench{size: small, out: &out}
	in, err := newInstallation(t.Context(), program)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := in.end(); err != nil {
			t.Error(err)
		}
	})
	b.installation = in
	var text strings.Builder
	for _, p := range parts[:5] {
		b.part = p.name
		text.WriteString(beginMark(p.name) + endMark + "\n")
		if err := p.run(&b, t.Context()); err != nil {
			t.Fatalf("%v\n%s", err, &out)
		}
	}
	for _, f := range b.figures {
		if f.Skipped == "" && (len(f.Values) != small.rounds || !(f.Values.median() > 0)) {
			t.Errorf("%s: %v", f.Name, f.Values)
		}
		if strings.HasPrefix(f.Name, "slots busy") && f.Values.median() > 1 {
			t.Errorf("%s: %v", f.Name, f.Values)
		}
	}
	page := filepath.Join(t.TempDir(), "performance.md")
	if err := os.WriteFile(page, []byte(text.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := b.writePage(page, time.Now()); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(filepath.Dir(page), "performance", "rates.svg")); err != nil {
		t.Error(err)
	}
}
