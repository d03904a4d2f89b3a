package cmd_test

import (
	"context"
	"os"
	"os/signal"
	"syscall"
	"testing"

	"regmend/cmd"
	"regmend/shared/postgres/postgrestest"

	"github.com/rogpeppe/go-internal/testscript"
)

// withPostgres runs the tests beside a private Postgres.
type withPostgres struct{ *testing.M }

func (w withPostgres) Run() int { return postgrestest.Main(w.M) }

func TestMain(m *testing.M) {
	testscript.Main(withPostgres{m}, map[string]func(){"regmend": regmend})
}

// regmend is the program, as main runs it.
func regmend() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	os.Exit(cmd.Run(ctx, cmd.Process{
		Version: "v1.2.3",
		Environ: os.Environ(),
		Stdin:   os.Stdin,
		Stdout:  os.Stdout,
		Stderr:  os.Stderr,
	}, os.Args[1:]))
}
