package main

import (
	"cmp"
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"regmend/shared/gitlab/gitlabtest"
	"regmend/shared/registry/registrytest"
)

// kind is one way in which something breaks. Either inject or spoil is set.
type kind struct {
	name string // group/name, by which KINDS selects
	// inject makes the fault and ends it: when it returns, everything around
	// regmend works again. An error of type damage says that regmend did not
	// bear it, any other one that the fault could not be made.
	inject func(ctx context.Context, in *installation, dice *rand.Rand) (healed, error)
	// spoil is one bad answer to a listing of a project.
	spoil func(p gitlabtest.Project, dice *rand.Rand) registrytest.Fault
	// outage tells that a bad answer is one for which everyone holds for a
	// while, so that many of it leave no time for others.
	outage bool
	// meets tells that a fault has to meet a flush or results, which are sure to
	// come in quiet windows only: in a storm Redis or the registry may keep them
	// away.
	meets bool
	// blamed tells that a project is to blame for it, and is recorded as failed.
	blamed bool
	// limit is how long it may take until work goes on.
	limit time.Duration
	// impossible says why this machine cannot have the fault; "" where it can.
	impossible string
}

// usualLimit is P10's and P11's, whichever is longer.
const usualLimit = 30 * time.Second

func (k kind) group() string {
	group, _, _ := strings.Cut(k.name, "/")
	return group
}

// single tells whether it is one bad answer, many of which are given at once.
func (k kind) single() bool { return k.spoil != nil }

// healed says that a fault is over.
type healed struct {
	// since is from when on work must go on.
	since time.Time
	// back tells whether it does. nil: a result of a scan that began later than
	// since is in the table.
	back func(ctx context.Context) (bool, error)
	// plain tells that plain asynq, whose worker is beside regmend, had the same
	// fault.
	plain bool
}

// damage is what regmend did wrong, as against what the harness could not do.
type damage struct{ what string }

func (d damage) Error() string { return d.what }

func damagef(format string, args ...any) error { return damage{fmt.Sprintf(format, args...)} }

// allKinds are those of every group, in the order of the table.
func allKinds() []kind {
	all := slices.Concat(processKinds(), redisKinds(), postgresKinds(), registryKinds(), operatorKinds(), sweepKinds(), repairKinds())
	for i := range all {
		all[i].limit = cmp.Or(all[i].limit, usualLimit)
	}
	return all
}

// apart are the groups of kinds that are a run of their own: in the same one as all
// others they would take it too long.
var apart = []string{"sweep", repairGroup}

// selectKinds are those whose name or group is in the list; all but those of the
// groups apart if it is empty.
func selectKinds(all []kind, list string) ([]kind, error) {
	if list == "" {
		return slices.DeleteFunc(slices.Clone(all), func(k kind) bool { return slices.Contains(apart, k.group()) }), nil
	}
	var selected []kind
	for word := range strings.SplitSeq(list, ",") {
		word = strings.TrimSpace(word)
		before := len(selected)
		for _, k := range all {
			if k.name == word || k.group() == word {
				selected = append(selected, k)
			}
		}
		if len(selected) == before {
			return nil, fmt.Errorf("KINDS: %q is neither a kind nor a group of kinds; there are:\n%s", word, names(all))
		}
	}
	return selected, nil
}

func names(kinds []kind) string {
	var text strings.Builder
	for _, k := range kinds {
		fmt.Fprintln(&text, "  "+k.name)
	}
	return text.String()
}
