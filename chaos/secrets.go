package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"regmend/shared/servers/redistest"
)

// secretsSeen looks for the secrets of the run in everything that regmend
// prints, serves and stores, and tells where they are.
func (in *installation) secretsSeen(ctx context.Context) ([]string, error) {
	var seen []string
	search := func(where, text string) {
		for what, secret := range in.secrets {
			if strings.Contains(text, secret) {
				seen = append(seen, fmt.Sprintf("the %s is in %s", what, where))
			}
		}
	}
	in.mu.Lock()
	search("what commands printed", string(in.printed))
	in.mu.Unlock()
	stored, err := redistest.Texts(ctx, in.redis.client())
	for key, text := range stored {
		search("the Redis key "+key, text)
	}
	err = errors.Join(err, in.searchTables(ctx, search), in.searchPages(ctx, search), in.searchLogs(search))
	slices.Sort(seen)
	return slices.Compact(seen), err
}

const selectTables = `SELECT format('%I.%I', schemaname, tablename) FROM pg_tables WHERE schemaname = 'regmend'`

// searchTables looks at every row of regmend's schema.
func (in *installation) searchTables(ctx context.Context, search func(where, text string)) error {
	var tables []string
	if err := in.database.sql.SelectContext(ctx, &tables, selectTables); err != nil {
		return err
	}
	for _, table := range tables {
		var text string
		if err := in.database.sql.GetContext(ctx, &text, `SELECT coalesce(string_agg(t::text, E'\n'), '') FROM `+table+` AS t`); err != nil {
			return err
		}
		search("the table "+table, text)
	}
	return nil
}

// searchLogs looks at what all processes printed so far.
func (in *installation) searchLogs(search func(where, text string)) error {
	logs, err := filepath.Glob(filepath.Join(in.dir, "*.log"))
	for _, name := range logs {
		text, failed := os.ReadFile(name)
		err = errors.Join(err, failed)
		search(filepath.Base(name), string(text))
	}
	return err
}

// searchPages looks at what is served on HTTP.
func (in *installation) searchPages(ctx context.Context, search func(where, text string)) error {
	paths := []string{"/healthz", "/readyz", "/metrics"}
	for name, m := range in.fleet.members {
		its := paths
		if name == "web" {
			its = append(slices.Clone(paths), "/", "/queues/api/queues", "/queues/api/servers", "/queues/api/redis_info",
				"/queues/api/queues/scan/pending_tasks", "/queues/api/queues/scan/active_tasks", "/queues/api/queues/scan/completed_tasks")
		}
		for _, path := range its {
			text, err := page(ctx, "http://"+m.listen+path)
			if err != nil {
				return err
			}
			search(name+path, text)
		}
	}
	return nil
}

// page reads a page, whatever its status.
func page(ctx context.Context, address string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return "", err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	return string(text), err
}
