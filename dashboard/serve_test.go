package dashboard_test

import (
	"context"
	"net"
	"net/http"
	"testing"
	"time"

	"regmend/dashboard"

	"github.com/sirupsen/logrus"
)

// run runs a long-running thing until the test ends.
func run(t *testing.T, thing func(context.Context) error) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	ended := make(chan error, 1)
	go func() { ended <- thing(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
}

func TestServeLetsRequestsEndBeforeItReturns(t *testing.T) {
	arrived, leave := make(chan struct{}), make(chan struct{})
	slow := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		close(arrived)
		<-leave
		_, _ = w.Write([]byte("whole"))
	})
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	address, served := begin(t, ctx, slow)

	answered := make(chan answer, 1)
	go func() { answered <- get(t, "http://"+address) }()
	<-arrived
	stop()
	refused(t, address)
	select {
	case err := <-served:
		t.Fatalf("Serve() = %v while a request is in progress", err)
	default:
	}
	close(leave)
	if got := <-answered; got.body != "whole" {
		t.Errorf("answer = %q", got.body)
	}
	if err := <-served; err != nil {
		t.Errorf("Serve() = %v", err)
	}
}

// begin serves at a free port and returns the address that is logged.
func begin(t *testing.T, ctx context.Context, handler http.Handler) (address string, served <-chan error) {
	t.Helper()
	log, _ := quiet()
	listening := make(chan string, 1)
	log.AddHook(addressHook(listening))
	ended := make(chan error, 1)
	go func() { ended <- dashboard.Serve(ctx, "127.0.0.1:0", handler, log) }()
	select {
	case address = <-listening:
	case err := <-ended:
		t.Fatal(err)
	}
	return address, ended
}

// addressHook takes the address out of the log.
type addressHook chan<- string

func (addressHook) Levels() []logrus.Level { return []logrus.Level{logrus.InfoLevel} }

func (h addressHook) Fire(e *logrus.Entry) error {
	h <- e.Data["address"].(string)
	return nil
}

// refused waits until nobody listens any more.
func refused(t *testing.T, address string) {
	t.Helper()
	for deadline := time.Now().Add(3 * time.Second); time.Now().Before(deadline); {
		conn, err := new(net.Dialer).DialContext(t.Context(), "tcp", address)
		if err != nil {
			return
		}
		conn.Close()
	}
	t.Fatal("still listening")
}

func TestServeSaysWhenItCannotListen(t *testing.T) {
	taken, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	log, _ := quiet()
	if err := dashboard.Serve(t.Context(), taken.Addr().String(), http.NotFoundHandler(), log); err == nil {
		t.Error("Serve() = nil at an address that is taken")
	}
}
