package registry_test

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"regmend/shared/registry"
	"regmend/shared/registry/registrytest"
)

// Whatever reaches the registry or its token server was admitted: tokens, the
// request that is sent again with one, second looks, the page that confirms an
// end, the catalog and the tags.
func TestEveryRequestIsAdmitted(t *testing.T) {
	for name, options := range map[string]registrytest.Options{
		"GitLab's API":                {},
		"GitLab's API, second looks":  {Collation: registrytest.Glibc},
		"distribution":                {Mode: registrytest.Distribution},
		"distribution, by a password": {Mode: registrytest.Distribution, Auth: &registrytest.Auth{Username: username, Password: password, TokenServer: true}},
	} {
		t.Run(name, func(t *testing.T) {
			server := registrytest.NewServer(t, options)
			pushMany(server.Registry, "g/p", 4)
			server.Push("g/z9/app", "v1")
			server.Push("z9", "v1")
			var admitted atomic.Int64
			client := newClient(t, server.URL, pageSize(2), func(cfg *registry.Config) {
				cfg.Admit = func(context.Context) error { admitted.Add(1); return nil }
				if options.Auth != nil {
					withPassword(cfg)
				}
			})
			for _, path := range []string{"g/p", "g/z9", "z9", "nobody"} {
				if _, _, err := list(t, client, path); err != nil {
					t.Fatal(err)
				}
			}
			if _, err := client.Holds(t.Context(), "g/p/r00001"); err != nil {
				t.Fatal(err)
			}
			if _, err := client.Tagged(t.Context(), "g/p/r00001"); err != nil {
				t.Fatal(err)
			}
			if _, err := client.Inspect(t.Context(), []string{"g/p/r00001"}); err != nil {
				t.Fatal(err)
			}
			if _, _, err := client.GrantsCatalog(t.Context()); err != nil {
				t.Fatal(err)
			}
			walk, err := client.CatalogWalk(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if _, _, err := walk.Page(t.Context(), ""); err != nil {
				t.Fatal(err)
			}
			if got, want := int(admitted.Load()), server.Count(); got != want || want < 10 {
				t.Errorf("%d requests were admitted, %d came", got, want)
			}
		})
	}
}

func TestWaitingToBeAdmittedIsNotTheRegistrysTime(t *testing.T) {
	server := registrytest.NewServer(t, registrytest.Options{})
	pushMany(server.Registry, "g/p", 8)
	var observed atomic.Int64
	client := newClient(t, server.URL, pageSize(2), func(cfg *registry.Config) {
		cfg.RequestTimeout, cfg.ProjectTimeout = 200*time.Millisecond, 300*time.Millisecond
		cfg.Admit = func(ctx context.Context) error {
			select {
			case <-time.After(250 * time.Millisecond):
				return nil
			case <-ctx.Done():
				return fmt.Errorf("not admitted: %w", context.Cause(ctx))
			}
		}
		cfg.Observe = func(a registry.Answered) {
			if a.Took > 100*time.Millisecond {
				observed.Add(1)
			}
		}
	})
	if got, _, err := list(t, client, "g/p"); err != nil || len(got) != 8 {
		t.Errorf("listing = %v, %v", got, err)
	}
	if n := observed.Load(); n > 0 {
		t.Errorf("%d answers are said to have taken what their requests waited", n)
	}
	server.SetLatency(400 * time.Millisecond)
	if _, err := client.Tagged(t.Context(), "g/p/r00001"); failure(t, err).Outage() {
		t.Errorf("error = %v, want that of a deadline", err)
	}
}

func TestWaitingToBeAdmittedEndsWithTheContext(t *testing.T) {
	server := registrytest.NewServer(t, registrytest.Options{})
	client := newClient(t, server.URL, func(cfg *registry.Config) {
		cfg.Admit = func(ctx context.Context) error {
			<-ctx.Done()
			return context.Cause(ctx)
		}
	})
	gone := errors.New("gone")
	ctx, cancel := context.WithCancelCause(t.Context())
	ended := make(chan error, 1)
	go func() {
		_, err := client.Tagged(ctx, "g/p")
		ended <- err
	}()
	cancel(gone)
	var answer *registry.Error
	if err := <-ended; !errors.Is(err, gone) || errors.As(err, &answer) {
		t.Errorf("error = %v, want the cause, and not the registry's", err)
	}
	if n := server.Count(); n != 0 {
		t.Errorf("%d requests were sent", n)
	}
}
