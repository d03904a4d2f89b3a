package cmd_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"

	"regmend/cmd"
)

func TestHelpersLiveUntilTheWorkHasEnded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, stop := context.WithCancel(t.Context())
		var helping context.Context
		leaving := make(chan struct{})
		ended := make(chan error)
		go func() {
			ended <- cmd.Alongside(ctx, func(ctx context.Context) error {
				<-ctx.Done()
				<-leaving
				return ctx.Err()
			}, func(ctx context.Context) error {
				helping = ctx
				<-ctx.Done()
				return ctx.Err()
			})
		}()
		stop()
		synctest.Wait()
		if helping.Err() != nil {
			t.Error("the helper was told to stop while the work was still leaving")
		}
		close(leaving)
		if err := <-ended; err != nil {
			t.Errorf("told to stop: %v, want nil", err)
		}
		if helping.Err() == nil {
			t.Error("the helper was never told to stop")
		}
	})
}

func TestTheFirstFailureEndsAll(t *testing.T) {
	broken := errors.New("broken")
	wait := func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }
	breaks := func(context.Context) error { return broken }
	if err := cmd.Alongside(t.Context(), wait, breaks, wait); !errors.Is(err, broken) {
		t.Errorf("a helper broke: %v, want %v", err, broken)
	}
	if err := cmd.Alongside(t.Context(), breaks, wait); !errors.Is(err, broken) {
		t.Errorf("the work broke: %v, want %v", err, broken)
	}
}
