package stash_test

import (
	"context"
	"testing"
	"time"

	"regmend/shared/stash"
)

func TestFlushIsLocked(t *testing.T) {
	s, rdb := open(t, stash.Config{})
	ctx := context.Background()
	lock := func() (func(context.Context), bool) {
		t.Helper()
		unlock, ok, err := s.LockFlush(ctx, time.Minute)
		if err != nil {
			t.Fatal(err)
		}
		return unlock, ok
	}
	unlock, ok := lock()
	if !ok {
		t.Fatal("the first one does not have the lock")
	}
	other, ok := lock()
	if ok {
		t.Error("two have the lock")
	}
	other(ctx)
	if _, ok := lock(); ok {
		t.Error("who does not have the lock could free it")
	}
	unlock(ctx)
	if _, ok := lock(); !ok {
		t.Error("the lock is not free after its unlock")
	}
	unlock(ctx) // late: the lock is another's by now
	if _, ok := lock(); ok {
		t.Error("a late unlock freed another's lock")
	}
	if ttl := rdb.TTL(ctx, "regmend:stash:flush-lock").Val(); ttl <= 0 || ttl > time.Minute {
		t.Errorf("the lock ends after %v", ttl)
	}
}

func TestFlushIsRequestedOnce(t *testing.T) {
	s, rdb := open(t, stash.Config{})
	ctx := context.Background()
	request := func() bool {
		t.Helper()
		ok, err := s.RequestFlush(ctx, time.Minute)
		if err != nil {
			t.Fatal(err)
		}
		return ok
	}
	if !request() || request() {
		t.Error("not exactly one request")
	}
	if err := s.FlushStarted(ctx); err != nil {
		t.Fatal(err)
	}
	if !request() || request() {
		t.Error("not exactly one request after the flush has started")
	}
	if ttl := rdb.TTL(ctx, "regmend:stash:flush-request").Val(); ttl <= 0 || ttl > time.Minute {
		t.Errorf("the request ends after %v", ttl)
	}
}
