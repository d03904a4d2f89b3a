package registry_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"regmend/shared/gitlab"
	"regmend/shared/registry"
	"regmend/shared/registry/registrytest"
)

func TestP3_ARequestThatHangsEndsAtItsDeadline(t *testing.T) {
	for name, fault := range map[string]registrytest.Fault{
		"before the answer": registrytest.Hang(), "in the body": registrytest.Trickle(20 * time.Millisecond),
	} {
		t.Run(name, func(t *testing.T) {
			server := registrytest.NewServer(t, registrytest.Options{})
			pushMany(server.Registry, "g/p", 20)
			client := newClient(t, server.URL, func(cfg *registry.Config) { cfg.RequestTimeout = 100 * time.Millisecond })
			s := survey(t, client, "g/p")
			server.Fail(registrytest.Where{Kind: registrytest.List}, fault)
			_, _, err := listIn(t, s, "g/p")
			answer := failure(t, err)
			if answer.Outage() || errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("error = %v, want one that is neither an outage nor the caller's deadline", err)
			}
		})
	}
}

func TestAPageOfTheCatalogMayTakeLonger(t *testing.T) {
	server := registrytest.NewServer(t, registrytest.Options{Mode: registrytest.Distribution})
	server.Push("g/p", "v1")
	client := newClient(t, server.URL, func(cfg *registry.Config) { cfg.RequestTimeout = 250 * time.Millisecond })
	s := survey(t, client, "g/p")
	server.SetLatency(400 * time.Millisecond)
	if got, _, err := listIn(t, s, "g/p"); err != nil || len(got) != 1 {
		t.Errorf("listing = %v, %v", got, err)
	}
	if _, err := client.Tagged(t.Context(), "g/p"); err == nil {
		t.Error("so may another request")
	}
	server.SetLatency(0)
	server.Fail(registrytest.Where{Kind: registrytest.Catalog}, registrytest.Hang())
	if _, _, err := list(t, client, "g/p"); !strings.Contains(failure(t, err).Reason, "not there after 1s") {
		t.Errorf("error = %v, want one after a second", err)
	}
}

func TestP3_AProjectHasADeadline(t *testing.T) {
	server := registrytest.NewServer(t, registrytest.Options{})
	pushMany(server.Registry, "g/p", 2000)
	client := newClient(t, server.URL, pageSize(1), func(cfg *registry.Config) { cfg.ProjectTimeout = 50 * time.Millisecond })
	s := survey(t, client, "g/p")
	server.SetLatency(2 * time.Millisecond)
	_, _, err := listIn(t, s, "g/p")
	if answer := failure(t, err); answer.Outage() {
		t.Errorf("error = %v, want the project's", err)
	}
}

func TestTheCallersEndIsTheCallersError(t *testing.T) {
	why := errors.New("the slot is lost")
	server := registrytest.NewServer(t, registrytest.Options{})
	client := newClient(t, server.URL)
	s := survey(t, client, "g/p", "g/p9")
	arrived := make(chan struct{})
	server.Hook(hang(arrived))
	for _, path := range []string{"g/p", "g/p9"} {
		ctx, cancel := context.WithCancelCause(t.Context())
		go func() {
			<-arrived
			cancel(why)
		}()
		_, err := s.List(ctx, project(path), func([]gitlab.Repository) error { return nil })
		answer := (*registry.Error)(nil)
		if !errors.Is(err, why) || !errors.Is(err, context.Canceled) || errors.As(err, &answer) {
			t.Errorf("error = %v (%T), want the caller's", err, err)
		}
	}
	server.Hook(nil)
	if _, _, err := listIn(t, s, "g/p9"); err != nil {
		t.Errorf("after the caller's end: %v", err)
	}
}

func TestTheCallersEndInTheMiddleOfABodyIsTheCallersError(t *testing.T) {
	server := registrytest.NewServer(t, registrytest.Options{})
	pushMany(server.Registry, "g/p", 50)
	why := errors.New("the slot is lost")
	ctx, cancel := context.WithCancelCause(t.Context())
	client := newClient(t, server.URL, func(cfg *registry.Config) {
		cfg.Observe = func(registry.Answered) {
			if len(server.Requests(registrytest.List)) > 0 { // its header is there
				cancel(why)
			}
		}
	})
	s := survey(t, client, "g/p")
	server.Fail(registrytest.Where{Kind: registrytest.List}, registrytest.Trickle(10*time.Millisecond))
	_, err := s.List(ctx, project("g/p"), func([]gitlab.Repository) error { return nil })
	answer := (*registry.Error)(nil)
	if !errors.Is(err, why) || errors.As(err, &answer) {
		t.Errorf("error = %v (%T), want the caller's", err, err)
	}
}
