package main

import (
	"context"
	"fmt"
	"slices"

	"regmend/shared/gitlab"
	"regmend/shared/postgres"
)

const (
	// versions is how many each project with repositories comes to have.
	versions = 10
	// mostListed is how many repositories the largest of them lists.
	mostListed = 10
)

// snapshots measures what keeping what projects list costs: ten versions of each
// project that has repositories, no two with the same contents.
func (b *bench) snapshots(ctx context.Context) error {
	b.tell("%d projects, one in %d with %d versions", b.size.versioned, withRepositories, versions)
	if err := b.fill(ctx, shape{Projects: b.size.versioned}); err != nil {
		return err
	}
	if err := b.newRun(ctx); err != nil {
		return err
	}
	db, err := postgres.Open(b.postgres.Database(b.database))
	if err != nil {
		return err
	}
	defer db.Close()
	state, err := db.State(ctx)
	if err != nil {
		return err
	}
	v := &versioned{bench: b, db: db, state: state}
	for _, step := range []func(context.Context) error{v.first, v.further, v.again, v.stored, v.checked, v.retained} {
		if err := step(ctx); err != nil {
			return err
		}
	}
	return nil
}

// versioned is the part's state.
type versioned struct {
	*bench

	db    *postgres.DB
	state postgres.State
}

// listing is what the project lists in a version: its own names, and one that no
// other version has.
func listing(id int64, version int) []string {
	names := []string{fmt.Sprintf("review-%d/app-%d", version, id)}
	for i := range id / withRepositories % mostListed {
		names = append(names, fmt.Sprintf("service-%d/web", i))
	}
	return gitlab.NameSet(names)
}

// results are what scans give; without names as before there were versions.
func (v *versioned) results(ctx context.Context, version int, names bool) ([]gitlab.Result, error) {
	all, err := v.installation.results(ctx, v.state.Run, v.size.versioned)
	if err != nil {
		return nil, err
	}
	for i := range all {
		r := &all[i]
		r.Missing = nil
		var listed []string
		if tagged(r.Project.ID) {
			listed = listing(r.Project.ID, version)
		}
		r.Listed = len(listed)
		if names {
			r.Names = append([]string{}, listed...)
		}
	}
	return all, nil
}

func (v *versioned) write(ctx context.Context) func([]gitlab.Result) error {
	return func(some []gitlab.Result) error {
		_, err := v.db.Write(ctx, v.state.Run, some)
		return err
	}
}

// first compares the first results of all projects with and without versions.
func (v *versioned) first(ctx context.Context) error {
	var with, without sample
	for range min(v.size.rounds, 3) {
		for _, names := range []bool{false, true} {
			results, err := v.results(ctx, 0, names)
			if err != nil {
				return err
			}
			rate, err := v.timed(ctx, results, v.write(ctx))
			if err != nil {
				return err
			}
			if names {
				with = append(with, rate)
			} else {
				without = append(without, rate)
			}
			v.tell("  with versions %v: %.0f results a second", names, rate)
		}
	}
	v.add(
		figure{Name: "first results, one in ten of which is a version", Values: with, Unit: "results/s"},
		figure{Name: "the same without versions", Values: without, Unit: "results/s"},
		figure{Name: "with / without", Values: with.over(without), Goal: goal{atLeast, 0.7}},
	)
	return nil
}

// further writes the other versions, of those that have any.
func (v *versioned) further(ctx context.Context) error {
	var rates sample
	for version := 1; version < versions; version++ {
		rate, err := v.rewrite(ctx, version, true)
		if err != nil {
			return err
		}
		rates = append(rates, rate)
	}
	v.add(figure{Name: "results over older ones, each a new version", Values: rates, Unit: "results/s"})
	return nil
}

// again writes the last version once more, and then without names.
func (v *versioned) again(ctx context.Context) error {
	seen, err := v.rewrite(ctx, versions-1, true)
	if err != nil {
		return err
	}
	plain, err := v.rewrite(ctx, versions-1, false)
	if err != nil {
		return err
	}
	v.add(
		figure{Name: "results over older ones, each the latest version again", Values: sample{seen}, Unit: "results/s"},
		figure{Name: "results over older ones, without versions", Values: sample{plain}, Unit: "results/s"},
	)
	// The rows tell of a version again.
	_, err = v.rewrite(ctx, versions-1, true)
	return err
}

// rewrite writes results of the projects with repositories over what is there,
// and returns how many a second.
func (v *versioned) rewrite(ctx context.Context, version int, names bool) (float64, error) {
	results, err := v.results(ctx, version, names)
	if err != nil {
		return 0, err
	}
	results = slices.DeleteFunc(results, func(r gitlab.Result) bool { return r.Listed == 0 })
	seconds, err := took(func() error {
		for some := range slices.Chunk(results, flushSize) {
			if err := v.write(ctx)(some); err != nil {
				return err
			}
		}
		return nil
	})
	return float64(len(results)) / seconds, err
}

// stored adds what the versions take on disk.
func (v *versioned) stored(ctx context.Context) error {
	var size struct{ Versions, Contents, Bytes, Table int64 }
	err := v.sql.GetContext(ctx, &size, `
SELECT (SELECT count(*) FROM regmend.snapshots) AS versions,
       (SELECT count(*) FROM regmend.snapshot_contents) AS contents,
       pg_total_relation_size('regmend.snapshots') + pg_total_relation_size('regmend.snapshot_contents') AS bytes,
       pg_total_relation_size('regmend.data_repair_details') AS "table"`)
	if err != nil {
		return err
	}
	v.add(
		figure{Name: "versions", Values: sample{float64(size.Versions)}},
		figure{Name: "contents", Values: sample{float64(size.Contents)}},
		figure{Name: "all versions with their contents and indexes", Values: sample{mebibytes(size.Bytes)}, Unit: "MiB"},
		figure{Name: "a version with its contents and indexes", Values: sample{float64(size.Bytes) / float64(size.Versions)}, Unit: "bytes", Goal: goal{atMost, 800}},
		figure{Name: "beside them, the results of all projects", Values: sample{mebibytes(size.Table)}, Unit: "MiB"},
	)
	return nil
}

// checked adds how long regmend check takes.
func (v *versioned) checked(ctx context.Context) error {
	seconds, err := took(func() error { return v.regmend(ctx, "check") })
	v.add(figure{Name: "regmend check", Values: sample{seconds}, Unit: "s"})
	return err
}

// retained adds how long it takes to find nothing to remove, and to remove half.
func (v *versioned) retained(ctx context.Context) error {
	for _, step := range []struct {
		name   string
		newest int
		want   int64
	}{
		{"nothing to be removed", versions, 0},
		{"half of the versions removed", versions / 2, versions / 2},
	} {
		var removed int64
		seconds, err := took(func() (err error) {
			removed, err = v.retain(ctx, step.newest)
			return err
		})
		if err != nil {
			return err
		}
		if want := step.want * v.size.versioned / withRepositories; removed != want {
			return fmt.Errorf("%d versions were removed, want %d", removed, want)
		}
		v.add(figure{Name: step.name, Values: sample{seconds}, Unit: "s"})
	}
	return v.regmend(ctx, "check")
}

func (v *versioned) retain(ctx context.Context, newest int) (removed int64, err error) {
	for at, ended := int64(0), false; !ended; {
		r, err := v.db.Retain(ctx, postgres.Settings{RetainSnapshots: newest}, at)
		if err != nil {
			return 0, err
		}
		at, ended = r.Next, r.End
		removed += r.Versions
	}
	return removed, nil
}
