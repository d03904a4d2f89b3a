package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync/atomic"

	"golang.org/x/sync/errgroup"
)

// limit sends the listings of a scan, and nothing else.
func (in *installation) limit(ctx context.Context, s setting, addresses []string) (o outcome, err error) {
	if err := in.stub.begin(ctx, s.orders); err != nil {
		return o, err
	}
	if err := sendAll(ctx, in.stub.url, addresses, s.slots); err != nil {
		return o, err
	}
	o.Projects = in.all()
	o.Stub, err = in.stub.figures(ctx)
	o.Began, o.Ended = o.Stub.First, o.Stub.Last
	return o, err
}

// listings are the addresses that a scan asks for: each project's, and those
// of second looks. A project that is listed twice was the control.
func (in *installation) listings(ctx context.Context, s setting) ([]string, error) {
	s.orders.Record, s.orders.Delay = true, 0
	if _, err := in.scan(ctx, s); err != nil {
		return nil, err
	}
	recorded, err := in.stub.recorded(ctx)
	if err != nil {
		return nil, err
	}
	var addresses []string
	seen := map[string]bool{}
	for _, address := range recorded {
		if ofProject := strings.Contains(address, "/app-"); ofProject && seen[address] {
			continue
		}
		seen[address] = true
		addresses = append(addresses, address)
	}
	return addresses, nil
}

// sendAll sends requests over kept-alive connections, so many at a time.
func sendAll(ctx context.Context, base string, addresses []string, concurrency int) error {
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
