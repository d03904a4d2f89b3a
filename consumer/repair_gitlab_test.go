package consumer_test

import (
	"fmt"
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"regmend/shared/jwtauth"
	"regmend/shared/postgres"
)

// tokenServer is GitLab's token endpoint: whoever may push to a path gets its row.
func (w *world) tokenServer(insert bool) *jwtauth.Client {
	w.t.Helper()
	client, err := jwtauth.New(jwtauth.Config{URL: w.gitlab(insert), Username: "root", Password: "a-secret"})
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(client.Close)
	return client
}

func TestRepair_GitLabMakesTheRowsItself(t *testing.T) {
	w := newWorld(t)
	run, plan := w.repairable(12)
	w.token = w.tokenServer(true)
	w.consumer()
	w.order(run, plan.ID, postgres.ActionApply, postgres.ViaGitLab, 10)
	w.allRepaired(plan, postgres.RepairCounts{Applied: 12})
	if got := w.lostRows(); got != "12 of 12" {
		t.Errorf("rows = %s", got)
	}
	w.order(run, plan.ID, postgres.ActionUndo, "", 10)
	w.allRepaired(plan, postgres.RepairCounts{Undone: 12})
}

func TestRepair_ATokenWithoutARowIsAFailure(t *testing.T) {
	w := newWorld(t)
	run, plan := w.repairable(2)
	w.token = w.tokenServer(false)
	w.consumer()
	w.order(run, plan.ID, postgres.ActionApply, postgres.ViaGitLab, 10)
	w.allRepaired(plan, postgres.RepairCounts{Failed: 2})
	if got := w.lostRows(); got != "0 of 0" {
		t.Errorf("rows = %s", got)
	}
}

func TestRepair_AGitLabThatFailsIsWaitedForAndOneThatRefusesIsNot(t *testing.T) {
	w := newWorld(t)
	run, plan := w.repairable(3)
	var status atomic.Int64
	status.Store(http.StatusBadGateway)
	url := tokenEndpoint(t, func(*http.Request, string) (int, string) { return int(status.Load()), "{}" })
	var err error
	if w.token, err = jwtauth.New(jwtauth.Config{URL: url, Username: "root", Password: "a-secret"}); err != nil {
		t.Fatal(err)
	}
	w.consumer()
	w.order(run, plan.ID, postgres.ActionApply, postgres.ViaGitLab, 10)
	w.await("GitLab was asked", func() bool {
		return w.Value(t, `SELECT count(asked_at) > 0 FROM regmend.repair_items`) == "true"
	})
	w.during(2*time.Second, "nothing is decided", func() bool { return w.repaired(plan).Open == 3 })
	status.Store(http.StatusUnauthorized)
	w.await("the order is stopped", func() bool { return w.Value(t, `SELECT stopped FROM regmend.repair_plans`) != "" })
	if n := w.repaired(plan); n.Open != 3 {
		t.Errorf("counts = %+v, want all open", n)
	}
	status.Store(http.StatusOK) // with a token that has no rights
	w.order(run, plan.ID, postgres.ActionApply, postgres.ViaGitLab, 10)
	w.allRepaired(plan, postgres.RepairCounts{Failed: 3})
}

// gitlab serves tokens, and inserts as GitLab does.
func (w *world) gitlab(insert bool) string {
	w.t.Helper()
	return tokenEndpoint(w.t, func(req *http.Request, path string) (int, string) {
		if user, password, ok := req.BasicAuth(); !ok || user != "root" || password != "a-secret" {
			return http.StatusUnauthorized, ""
		}
		if insert {
			_, err := w.SQL.Exec(`
INSERT INTO public.container_repositories (project_id, name, created_at, updated_at)
SELECT source_id, 'lost', clock_timestamp() AT TIME ZONE 'utc', clock_timestamp() AT TIME ZONE 'utc'
FROM public.routes WHERE source_type = 'Project' AND path || '/lost' = $1
ON CONFLICT DO NOTHING`, path)
			if err != nil {
				return http.StatusInternalServerError, ""
			}
		}
		return http.StatusOK, fmt.Sprintf(`{"access":[{"type":"repository","name":%q,"actions":["push"]}]}`, path)
	})
}
