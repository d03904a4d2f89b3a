package consumer_test

import (
	"testing"
	"time"

	"regmend/consumer"

	"github.com/google/go-cmp/cmp"
)

func TestWorkThatGetsFurtherIsTriedAgainSoon(t *testing.T) {
	got := consumer.Pauses(false, false, false, false, false, true, false)
	want := []time.Duration{1, 2, 4, 8, 8, 1, 2}
	for i := range want {
		want[i] *= time.Second
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("pauses (-want +got):\n%s", diff)
	}
}
