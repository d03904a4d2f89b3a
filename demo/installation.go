package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"regmend/shared/servers"

	"golang.org/x/sync/errgroup"
)

// installation is everything that runs, in a folder of its own.
type installation struct {
	dir      string
	program  string // regmend
	listen   string // of the pages
	postgres *servers.Postgres
	redis    *servers.Redis
	registry *servers.Registry
	regmends []*servers.Process
}

func newInstallation(program string) (*installation, error) {
	program, err := filepath.Abs(program)
	if err != nil {
		return nil, err
	}
	if _, err := os.Stat(program); err != nil {
		return nil, fmt.Errorf("%w: make build makes it", err)
	}
	dir, err := os.MkdirTemp("", "regmend-demo-")
	if err != nil {
		return nil, err
	}
	// Postgres, which does not run as root, has to get to its own part.
	return &installation{dir: dir, program: program}, os.Chmod(dir, 0o711)
}

// folder makes a part of the installation's folder.
func (in *installation) folder(name string) (string, error) {
	path := filepath.Join(in.dir, name)
	return path, os.Mkdir(path, 0o700)
}

func (in *installation) startServers(ctx context.Context) error {
	var starts errgroup.Group
	for name, start := range map[string]func(dir string) error{
		"postgres": func(dir string) (err error) {
			if in.postgres, err = servers.StartPostgres(ctx, dir, "fsync=off"); err != nil {
				return err
			}
			return createDatabase(ctx, in.postgres.URL, gitlabDatabase)
		},
		"redis": func(dir string) (err error) {
			in.redis, err = servers.StartRedis(ctx, dir, "--appendonly", "yes", "--maxmemory-policy", "noeviction")
			return err
		},
		"registry": func(dir string) (err error) {
			in.registry, err = servers.StartRegistry(ctx, dir)
			return err
		},
	} {
		starts.Go(func() error {
			dir, err := in.folder(name)
			if err != nil {
				return err
			}
			return start(dir)
		})
	}
	return starts.Wait()
}

// gitlabDatabase is what Omnibus GitLab calls its main database.
const gitlabDatabase = "gitlabhq_production"

func (in *installation) gitlabURL() string { return in.postgres.Database(gitlabDatabase) }

// variables are what regmend is told.
func (in *installation) variables() []string {
	return []string{
		"REGMEND_DATABASE_URL=" + in.gitlabURL(),
		"REGMEND_REDIS_URL=" + in.redis.URL,
		"REGMEND_REGISTRY_URL=" + in.registry.URL,
		"REGMEND_LISTEN=" + in.listen,
	}
}

func (in *installation) environ() []string { return append(os.Environ(), in.variables()...) }

// envFile writes what a shell reads to be told the same.
func (in *installation) envFile() (path string, err error) {
	path = filepath.Join(in.dir, "env")
	var text strings.Builder
	for _, v := range in.variables() {
		name, value, _ := strings.Cut(v, "=")
		fmt.Fprintf(&text, "export %s='%s'\n", name, value)
	}
	return path, os.WriteFile(path, []byte(text.String()), 0o600)
}

// command is regmend with that command line.
func (in *installation) command(ctx context.Context, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, in.program, args...)
	cmd.Env = in.environ()
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = 5 * time.Second
	return cmd
}

// regmend runs a command to its end; what it says is told if it fails.
func (in *installation) regmend(ctx context.Context, args ...string) error {
	if said, err := in.command(ctx, args...).CombinedOutput(); err != nil {
		return fmt.Errorf("%w\n%s", err, said)
	}
	return nil
}

// startRegmend starts the processes that go on.
func (in *installation) startRegmend(ctx context.Context) error {
	if err := in.chooseListen(); err != nil {
		return err
	}
	for _, p := range []struct{ verb, name string }{
		{"producer", "producer"}, {"consumer", "consumer1"}, {"consumer", "consumer2"}, {"web", "web"},
	} {
		cmd := exec.Command(in.program, p.verb)
		cmd.Env = in.environ()
		process, err := servers.Start(cmd, filepath.Join(in.dir, p.name+".log"))
		if err != nil {
			return err
		}
		in.regmends = append(in.regmends, process)
	}
	return in.awaitPages(ctx)
}

// chooseListen takes regmend's own port, if nobody else has it.
func (in *installation) chooseListen() error {
	const usual = "127.0.0.1:9780"
	if l, err := net.Listen("tcp", usual); err == nil {
		in.listen = usual
		return l.Close()
	}
	port, err := servers.FreePort()
	in.listen = fmt.Sprintf("127.0.0.1:%d", port)
	return err
}

func (in *installation) pagesURL() string { return "http://" + in.listen + "/" }

func (in *installation) awaitPages(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	ctx, stop := in.whileRunning(ctx)
	defer stop()
	again := time.NewTicker(20 * time.Millisecond)
	defer again.Stop()
	for {
		err := in.pagesReady(ctx)
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return errors.Join(err, context.Cause(ctx))
		case <-again.C:
		}
	}
}

func (in *installation) pagesReady(ctx context.Context) error {
	return servers.Fetch(ctx, in.pagesURL()+"readyz")
}

// whileRunning returns a context that ends when a process of regmend does that
// should go on; its cause says why. stop is to be called in any case.
func (in *installation) whileRunning(ctx context.Context) (running context.Context, stop func()) {
	running, cancel := context.WithCancelCause(ctx)
	var watchers sync.WaitGroup
	for _, p := range in.regmends {
		watchers.Go(func() {
			select {
			case <-p.Exited():
				cancel(fmt.Errorf("%s ended with exit code %d: %s", strings.Join(p.Args(), " "), p.ExitCode(), p.Tail()))
			case <-running.Done():
			}
		})
	}
	return running, func() {
		cancel(nil)
		watchers.Wait()
	}
}

// watch shows the progress until every project is analysed.
func (in *installation) watch(ctx context.Context, s *screen) error {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Minute)
	defer cancel()
	ctx, stop := in.whileRunning(ctx)
	defer stop()
	interval := "2s" // a line each
	if s.terminal {
		interval = "250ms"
	}
	cmd := in.command(ctx, "status", "--watch", "--interval", interval)
	cmd.Stdout, cmd.Stderr = s.out, os.Stderr
	fmt.Fprintf(s.out, "\n$ %s\n", strings.Join(append([]string{"regmend"}, cmd.Args[1:]...), " "))
	defer fmt.Fprintln(s.out)
	if err := cmd.Run(); err != nil {
		return errors.Join(err, context.Cause(ctx))
	}
	return nil
}

// report returns the names of the missing repositories by project, as regmend
// reports them.
func (in *installation) report(ctx context.Context) (map[int64][]string, error) {
	cmd := in.command(ctx, "report", "--format", "json")
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("regmend report: %w", err)
	}
	var projects []struct {
		ID       int64    `json:"project_id"`
		FullPath string   `json:"full_path"`
		Status   string   `json:"status"`
		Missing  []string `json:"missing"`
		Error    string   `json:"error"`
	}
	if err := json.Unmarshal(out, &projects); err != nil {
		return nil, fmt.Errorf("regmend report: %w", err)
	}
	found := map[int64][]string{}
	for _, p := range projects {
		if p.Status != "completed" {
			return nil, fmt.Errorf("%s is %s: %s", p.FullPath, p.Status, p.Error)
		}
		if len(p.Missing) > 0 {
			found[p.ID] = p.Missing
		}
	}
	return found, nil
}

// remove stops everything and removes the folder.
func (in *installation) remove() error {
	stops := new(errgroup.Group)
	for _, p := range in.regmends {
		stops.Go(p.Stop)
	}
	err := stops.Wait()
	stops = new(errgroup.Group)
	if in.postgres != nil {
		stops.Go(in.postgres.Stop)
	}
	if in.redis != nil {
		stops.Go(in.redis.Stop)
	}
	if in.registry != nil {
		stops.Go(in.registry.Stop)
	}
	return errors.Join(err, stops.Wait(), os.RemoveAll(in.dir))
}
