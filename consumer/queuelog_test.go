package consumer_test

import (
	"testing"

	"regmend/consumer"

	"github.com/google/go-cmp/cmp"
	"github.com/sirupsen/logrus"
	"github.com/sirupsen/logrus/hooks/test"
)

func TestTheQueueDoesNotRepeatItsComplaints(t *testing.T) {
	log, hook := test.NewNullLogger()
	queue := consumer.NewQueueLog(log)
	for range 3 {
		queue.Error("Dequeue error: dial tcp: connection refused")
		queue.Error("Dequeue error: i/o timeout")
		queue.Warn("recoverer: could not list lease expired tasks")
	}
	var got []string
	for _, entry := range hook.AllEntries() {
		if entry.Level <= logrus.WarnLevel {
			got = append(got, entry.Message)
		}
	}
	want := []string{"Dequeue error: dial tcp: connection refused", "recoverer: could not list lease expired tasks"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("logged (-want +got):\n%s", diff)
	}
}
