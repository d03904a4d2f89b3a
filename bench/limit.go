package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"sync/atomic"

	"golang.org/x/sync/errgroup"
)

// limit sends the requests of a scan over kept-alive connections, so many at a
// time, and nothing else.
func limit(ctx context.Context, base string, addresses []string, concurrency int) error {
	transport := &http.Transport{MaxIdleConnsPerHost: concurrency, DisableCompression: true}
	defer transport.CloseIdleConnections()
	client := &http.Client{Transport: transport}
	var next atomic.Int64
	workers, ctx := errgroup.WithContext(ctx)
	for range concurrency {
		workers.Go(func() error {
			for {
				i := int(next.Add(1)) - 1
				if i >= len(addresses) {
					return nil
				}
				if err := get(ctx, client, base+addresses[i]); err != nil {
					return err
				}
			}
		})
	}
	return workers.Wait()
}

func get(ctx context.Context, client *http.Client, url string) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	resp, err := client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if _, err := io.Copy(io.Discard, resp.Body); err != nil {
		return err
	}
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: %s", url, resp.Status)
	}
	return nil
}
