package dashboard

import (
	"context"
	"errors"
	stdlog "log"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/sirupsen/logrus"
	"golang.org/x/sync/errgroup"
)

// goodbye is how long requests may take to end once the program stops, well
// within the ten seconds it has.
const goodbye = 5 * time.Second

// Serve answers at the address until ctx ends and the requests in progress
// have ended too, at most five seconds later. It returns nil then, and an error
// only when it cannot listen or serve.
func Serve(ctx context.Context, listen string, handler http.Handler, log logrus.FieldLogger) error {
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", listen)
	if err != nil {
		return err
	}
	server := &http.Server{
		Handler:           handler,
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       15 * time.Second,
		WriteTimeout:      60 * time.Second,
		IdleTimeout:       60 * time.Second,
		MaxHeaderBytes:    64 << 10,
		ErrorLog:          stdlog.New(logWriter{log}, "", 0),
	}
	log.WithField("address", listener.Addr().String()).Info("listening")

	group, served := errgroup.WithContext(ctx)
	group.Go(func() error {
		if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			return err
		}
		return nil
	})
	group.Go(func() error {
		<-served.Done()
		return leave(context.WithoutCancel(ctx), server)
	})
	return group.Wait()
}

// leave lets requests end, and cuts off those that do not.
func leave(ctx context.Context, server *http.Server) error {
	ctx, cancel := context.WithTimeout(ctx, goodbye)
	defer cancel()
	err := server.Shutdown(ctx)
	if errors.Is(err, context.DeadlineExceeded) {
		return server.Close()
	}
	return err
}

// logWriter carries what net/http has to say, one line a write, to our log.
type logWriter struct{ log logrus.FieldLogger }

func (w logWriter) Write(line []byte) (int, error) {
	w.log.WithField("detail", strings.TrimSpace(string(line))).Warn("http server")
	return len(line), nil
}
