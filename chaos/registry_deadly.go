package main

import (
	"context"
	"math/rand/v2"
	"net/http"
	"strings"
	"time"

	"regmend/shared/registry/registrytest"
	"regmend/shared/servers"

	"github.com/lib/pq"
)

const (
	// deadlyBatch is how many projects are forced, the deadly one included.
	deadlyBatch = 50
	// deadlyLimit is how long it may take until the deadly one is found out:
	// four processes have to die. In a storm, in which something else may keep
	// it from being scanned, it is given up sooner.
	deadlyLimit, stormDeadlyLimit = 150 * time.Second, 8 * time.Second
)

// present is a project that is there, with its path.
type present struct {
	ID   int64
	Path string
}

const selectPresent = `
SELECT p.id, r.path FROM public.projects p
JOIN public.routes r ON r.source_type = 'Project' AND r.source_id = p.id
WHERE p.id = ANY($1) AND p.pending_delete IS NOT TRUE
ORDER BY array_position($1, p.id)`

// deadlyProject has one project that always kills its scanner, until regmend
// has found it out. The others of its batch have to be scanned.
func deadlyProject(ctx context.Context, in *installation, dice *rand.Rand) (healed, error) {
	var picked []int64
	for len(picked) < deadlyBatch {
		if p := in.pick(dice); !in.registry.spoils.waits(p.FullPath) { // nothing else is to keep it back
			picked = append(picked, p.ID)
		}
	}
	var before int64
	var there []present
	err := servers.Await(ctx, "Postgres tells which projects there are", deadlyLimit, func(ctx context.Context) (bool, error) {
		db := in.database.sql
		err := db.GetContext(ctx, &before, `SELECT last_value FROM regmend.scan_number`)
		if err == nil {
			err = db.SelectContext(ctx, &there, selectPresent, pq.Array(picked))
		}
		return err == nil && len(there) > 0, err
	})
	if err != nil {
		return healed{}, err
	}
	return in.outlive(ctx, there[0], there[1:], before)
}

// outlive arms the deadly project, waits until it is recorded, and disarms it.
func (in *installation) outlive(ctx context.Context, deadly present, others []present, before int64) (healed, error) {
	ids := make([]int64, 0, len(others))
	for _, p := range others {
		ids = append(ids, p.ID)
	}
	end := in.registry.suffer(killing(deadly.Path, func() error { return in.fleet.killScannerOf(deadly.ID) }))
	defer end()
	err := servers.Await(ctx, "the deadly project is forced", deadlyLimit, func(ctx context.Context) (bool, error) {
		err := in.force(ctx, append(ids, deadly.ID)...)
		return err == nil, err
	})
	if err != nil {
		return healed{}, err
	}
	err = in.awaitRows(ctx, "the deadly project is recorded as failed", selectDeadly, 1, []int64{deadly.ID}, before)
	end()
	if err == nil {
		err = in.awaitRows(ctx, "the others of its batch are completed", selectScanned, len(ids), ids, before)
	}
	return healed{since: time.Now()}, err
}

const (
	selectDeadly = `
SELECT count(*) FROM regmend.data_repair_details
WHERE project_id = ANY($1) AND failure_scan_number > $2 AND error LIKE '%died%'`

	selectScanned = `
SELECT count(*) FROM regmend.data_repair_details
WHERE project_id = ANY($1) AND scan_number > $2 AND status = 'completed'`
)

// awaitRows waits for so many rows. That they do not come is damage, unless
// something else is broken that may be the reason.
func (in *installation) awaitRows(ctx context.Context, what, query string, want int, ids []int64, after int64) error {
	limit := stormDeadlyLimit
	if in.registry.alone.Load() {
		limit = deadlyLimit
	}
	err := servers.Await(ctx, what, limit, func(ctx context.Context) (bool, error) {
		var n int
		err := in.database.sql.GetContext(ctx, &n, query, pq.Array(ids), after)
		return n == want, err
	})
	switch {
	case err == nil, ctx.Err() != nil:
		return err
	case in.registry.alone.Load():
		return damagef("%v", err)
	default:
		return nil
	}
}

// dying is how long a killed process may take to be gone. What asks longer was
// not the process that was killed.
const dying = 2 * time.Second

// killing kills the scanner of the project with that full path whenever it
// lists it. Who else asks, to see whether the registry works, gets an answer.
func killing(fullPath string, kill func() error) registrytest.Fault {
	path := strings.ToLower(fullPath)
	return func(answer http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
			if asksFor(req, path) && kill() == nil {
				_ = pause(req.Context(), dying)
			}
			answer.ServeHTTP(w, req)
		})
	}
}

// asksFor tells whether the request is for the listing of the path.
func asksFor(req *http.Request, path string) bool {
	return strings.HasSuffix(req.URL.Path, "/repository-paths/"+path+"/repositories/list/")
}
