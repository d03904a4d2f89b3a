package cmd_test

import (
	"strings"
	"testing"

	"regmend/cmd"
	"regmend/shared/postgres"
)

func TestDoctorOnRepairs(t *testing.T) {
	all := postgres.RepairRights{Role: "regmend", MayInsert: true, MayUseIDs: true, MayDelete: true}
	for name, c := range map[string]struct {
		change      func(*postgres.RepairRights)
		differences []string
		want        string
	}{
		"every right":       {func(*postgres.RepairRights) {}, nil, "ok    repair rights: role regmend may plan, apply and undo"},
		"no INSERT":         {func(r *postgres.RepairRights) { r.MayInsert = false }, nil, "ok    repair rights: role regmend may plan, but lacks INSERT on container_repositories; to put rows back grant it: schema/roles/repair.sql"},
		"no sequence":       {func(r *postgres.RepairRights) { r.MayUseIDs = false }, nil, "lacks USAGE on its sequence;"},
		"no DELETE":         {func(r *postgres.RepairRights) { r.MayDelete = false }, nil, "lacks DELETE on it (undo);"},
		"nothing to read":   {func(r *postgres.RepairRights) { r.LacksSelect = []string{"public.redirect_routes"} }, nil, "warn  repair rights: role regmend may not read public.redirect_routes"},
		"another GitLab":    {func(r *postgres.RepairRights) { r.LacksColumns = []string{"projects.x"} }, nil, "warn  repair rights: GitLab's tables lack projects.x"},
		"an unknown table":  {func(*postgres.RepairRights) {}, []string{"unknown: column owner: text"}, "warn  repair rights: container_repositories is not the table that this program knows: unknown: column owner: text"},
		"several are wrong": {func(r *postgres.RepairRights) { r.MayInsert, r.MayUseIDs = false, false }, nil, "lacks INSERT on container_repositories, USAGE on its sequence;"},
	} {
		t.Run(name, func(t *testing.T) {
			rights := all
			c.change(&rights)
			if got := cmd.JudgeRepair(rights, c.differences); !strings.Contains(got, c.want) {
				t.Errorf("%s, want %s", got, c.want)
			}
		})
	}
}

func TestTheProgressOfARepair(t *testing.T) {
	for name, c := range map[string]struct {
		state  postgres.PlanState
		counts postgres.RepairCounts
		want   string
		over   bool
	}{
		"at first":   {postgres.PlanApplying, postgres.RepairCounts{Refused: 5, Open: 1000}, "   0 % |░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░| 0/1,000, 0 applied, 0 skipped, 0 failed", false},
		"half":       {postgres.PlanApplying, postgres.RepairCounts{Open: 10, Applied: 8, Skipped: 1, Failed: 1, Unverified: 8}, "  50 % |████████████████░░░░░░░░░░░░░░░░| 10/20, 8 applied, 1 skipped, 1 failed", false},
		"unverified": {postgres.PlanApplying, postgres.RepairCounts{Applied: 20, Unverified: 3}, " 100 % |█████████████| 20/20, 20 applied, 0 skipped, 0 failed, 3 to be verified", false},
		"unscanned":  {postgres.PlanApplying, postgres.RepairCounts{Applied: 2, Unscanned: 1}, " 100 % 2/2, 2 applied, 0 skipped, 0 failed, 1 project to be scanned", false},
		"done":       {postgres.PlanApplying, postgres.RepairCounts{Applied: 1, Skipped: 1}, " 100 % |██████████████████████████████████| 2/2, 1 applied, 1 skipped, 0 failed", true},
		"undoing":    {postgres.PlanUndoing, postgres.RepairCounts{Open: 7, Applied: 2, Undone: 1, Kept: 1}, "  50 % |████████████████████░░░░░░░░░░░░░░░░░░░░| 2/4, 1 undone, 1 kept", false},
		"undone":     {postgres.PlanUndoing, postgres.RepairCounts{Open: 7, Undone: 2}, " 100 % |████████████████████████████████████████| 2/2, 2 undone, 0 kept", true},
	} {
		t.Run(name, func(t *testing.T) {
			p := postgres.Plan{State: c.state, Counts: c.counts}
			if got := cmd.RepairBar(p, 79); got != c.want {
				t.Errorf("bar = %q, want %q", got, c.want)
			}
			if got := cmd.RepairOver(p); got != c.over {
				t.Errorf("over = %v, want %v", got, c.over)
			}
		})
	}
}
