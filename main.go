// Command regmend finds the container repositories that a registry holds and
// GitLab's database has lost.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"regmend/cmd"
)

// version is set by the linker; without it the build information tells.
var version string

func main() {
	os.Exit(run())
}

func run() int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	// Once the first signal is taken, a second one kills as usual.
	context.AfterFunc(ctx, stop)

	return cmd.Run(ctx, cmd.Process{
		Version: version,
		Environ: os.Environ(),
		Stdin:   os.Stdin,
		Stdout:  os.Stdout,
		Stderr:  os.Stderr,
	}, os.Args[1:])
}
