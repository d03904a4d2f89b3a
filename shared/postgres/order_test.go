package postgres_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"regmend/shared/gitlab"

	"github.com/google/go-cmp/cmp"
)

// model is the rule of the order of results, in words of its own: of a set of
// results of one project only the set counts.
func model(s *suite, results []gitlab.Result) stored {
	var c, f gitlab.Result
	for _, r := range results {
		if r.Status == gitlab.Completed && r.Scan > c.Scan {
			c = r
		}
		if r.Status == gitlab.Failed && r.Scan > f.Scan {
			f = r
		}
	}
	row := stored{Project: results[0].Project.ID, Run: s.run.ID}
	if c.Scan > 0 {
		row.Status, row.Scan, row.Missing, row.Names = "completed", c.Scan, len(c.Missing), strings.Join(c.Missing, ",")
	} else {
		row.Status, row.Scan = "failed", f.Scan
	}
	if f.Scan > c.Scan {
		row.Failure, row.Error, row.HasNext = f.Scan, f.Error, true
	}
	return row
}

// TestP5_AnyOrderAndPartitionGivesTheSameRows writes the same results in many
// orders, cut into writes at many places, some of them written twice.
func TestP5_AnyOrderAndPartitionGivesTheSameRows(t *testing.T) {
	t.Parallel()
	s := newSuite(t, 4)
	random := rand.New(rand.NewPCG(1, 2))
	for round := range 60 {
		s.Exec(t, `DELETE FROM regmend.data_repair_details`)
		results := randomResults(s, random)
		for rest := results; len(rest) > 0; {
			n := 1 + random.IntN(len(rest))
			s.write(t, rest[:n]...)
			if random.IntN(4) == 0 {
				s.write(t, rest[:n]...)
			}
			rest = rest[n:]
		}
		got := rows(t, s.Database)
		for i := range got {
			// How many failures were seen one by one depends on the cut.
			if (got[i].Attempts > 0) != got[i].HasNext {
				t.Errorf("round %d: attempts = %d beside a next try: %v", round, got[i].Attempts, got[i].HasNext)
			}
			got[i].Attempts = 0
		}
		if diff := cmp.Diff(modelRows(s, results), got); diff != "" {
			t.Fatalf("round %d: rows (-want +got):\n%s\nresults in order: %+v", round, diff, results)
		}
	}
}

func randomResults(s *suite, random *rand.Rand) []gitlab.Result {
	var results []gitlab.Result
	for project := range s.projects {
		for _, scan := range random.Perm(6)[:1+random.IntN(5)] {
			if random.IntN(2) == 0 {
				results = append(results, s.failed(project, int64(scan+1), fmt.Sprintf("failure %d", scan)))
			} else {
				results = append(results, s.completed(project, int64(scan+1), names(scan)...))
			}
		}
	}
	random.Shuffle(len(results), func(i, j int) { results[i], results[j] = results[j], results[i] })
	return results
}

func names(n int) []string {
	var names []string
	for i := range n {
		names = append(names, fmt.Sprintf("image-%d-%d", n, i))
	}
	return names
}

func modelRows(s *suite, results []gitlab.Result) []stored {
	want := []stored{}
	for _, project := range s.projects {
		of := slices.DeleteFunc(slices.Clone(results), func(r gitlab.Result) bool { return r.Project != project })
		if len(of) > 0 {
			want = append(want, model(s, of))
		}
	}
	return want
}
