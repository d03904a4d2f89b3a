package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
)

// repair puts back what is missing, pulls the images by the rows that came, and
// takes these rows out again. All others have to stay what they are.
func repair(ctx context.Context, in *installation, g *gitLab, lost map[int64][]string, s *screen) error {
	before, err := containerRepositories(ctx, in.gitlabURL())
	if err != nil {
		return err
	}
	var plan string
	var restored containerRows
	return s.stages(
		stage{"regmend repair plan --accept-unknown-age", func() (err error) {
			plan, err = in.plan(ctx)
			return err
		}},
		stage{"regmend enable repair", func() error { return in.regmend(ctx, "enable", "repair") }},
		stage{fmt.Sprintf("regmend repair apply: %d rows are back, nothing is missing", count(lost)), func() (err error) {
			if err = in.regmend(ctx, "repair", "apply", plan, "--reason", "the demo lost these rows"); err == nil {
				restored, err = in.restored(ctx, before, lost)
			}
			return err
		}},
		stage{fmt.Sprintf("%d images pulled by the paths of their rows", count(lost)), func() error {
			return pull(ctx, in.registry.Addr, g.paths(restored.names()))
		}},
		stage{"regmend repair undo: GitLab's rows are what they were", func() error {
			if err := in.regmend(ctx, "repair", "undo", plan); err != nil {
				return err
			}
			after, err := containerRepositories(ctx, in.gitlabURL())
			if err == nil && !maps.Equal(before, after) {
				err = errors.New("the rows are not what they were before the repair")
			}
			return err
		}},
	)
}

// plan makes a plan and returns its number. distribution does not tell how old a
// repository is.
func (in *installation) plan(ctx context.Context) (string, error) {
	out, err := in.command(ctx, "repair", "plan", "--accept-unknown-age").Output()
	if err != nil {
		return "", fmt.Errorf("regmend repair plan: %w", err)
	}
	number, _, _ := strings.Cut(string(out), "\n")
	return number, nil
}

// restored returns the rows that came to those before, if they are of what was
// lost, no other row was touched, and nothing is missing any more.
func (in *installation) restored(ctx context.Context, before containerRows, lost map[int64][]string) (containerRows, error) {
	now, err := containerRepositories(ctx, in.gitlabURL())
	if err != nil {
		return nil, err
	}
	came := maps.Clone(now)
	maps.DeleteFunc(came, func(id int64, row containerRow) bool { return before[id] == row })
	if len(came) != len(now)-len(before) || !reflect.DeepEqual(came.names(), lost) {
		return nil, fmt.Errorf("the rows put back are not those that were lost: %v instead of %v", came.names(), lost)
	}
	missing, err := in.report(ctx)
	if err == nil && len(missing) > 0 {
		err = fmt.Errorf("%d repositories are still missing", count(missing))
	}
	return came, err
}

// containerRow is a row of container_repositories.
type containerRow struct {
	project int64
	name    string
	whole   string // with every column
}

// containerRows are rows by their IDs.
type containerRows map[int64]containerRow

// names are those of the rows by project, sorted.
func (rows containerRows) names() map[int64][]string {
	byProject := map[int64][]string{}
	for _, r := range rows {
		byProject[r.project] = append(byProject[r.project], r.name)
	}
	for _, names := range byProject {
		slices.Sort(names)
	}
	return byProject
}

// paths are where the registry has the repositories of these names by project.
func (g *gitLab) paths(names map[int64][]string) []string {
	var paths []string
	for _, p := range g.projects {
		for _, name := range names[p.ID] {
			paths = append(paths, p.RepositoryPath(name))
		}
	}
	return paths
}
