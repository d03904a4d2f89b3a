package main_test

import (
	"bytes"
	"context"
	"database/sql"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"regmend/cmd"
	"regmend/shared/servers"

	"github.com/compose-spec/compose-go/v2/cli"
	"github.com/compose-spec/compose-go/v2/types"
	_ "github.com/lib/pq" // the driver
)

func loadCompose(t *testing.T) *types.Project {
	t.Helper()
	options, err := cli.NewProjectOptions([]string{"docker-compose.yml"}, cli.WithDefaultProfiles(), cli.WithResolvedPaths(true))
	if err != nil {
		t.Fatal(err)
	}
	project, err := options.LoadProject(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return project
}

// regmend runs the command line and returns its output and exit code.
func regmend(ctx context.Context, environ []string, args ...string) (output string, code int) {
	var out bytes.Buffer
	code = cmd.Run(ctx, cmd.Process{
		Environ: environ, Stdin: strings.NewReader(""), Stdout: &out, Stderr: &out,
	}, args)
	return out.String(), code
}

func TestComposeFileStartsCommandsThatExist(t *testing.T) {
	var verbs []string
	for name, service := range loadCompose(t).Services {
		if service.Image != "regmend" {
			continue
		}
		verbs = append(verbs, service.Command[0])
		help, code := regmend(t.Context(), nil, append(service.Command, "--help")...)
		if code != 0 || !strings.Contains(help, "regmend "+service.Command[0]) {
			t.Errorf("service %s: regmend %v --help = %d, want its help; it says\n%s", name, service.Command, code, help)
		}
	}
	slices.Sort(verbs)
	if want := []string{"consumer", "migrate", "producer", "web"}; !slices.Equal(verbs, want) {
		t.Errorf("the services run %v, want %v", verbs, want)
	}
}

func TestComposeFileSetsVariablesThatExist(t *testing.T) {
	help, _ := regmend(t.Context(), nil, "help", "environment")
	known := regexp.MustCompile(`REGMEND_[A-Z_]+`).FindAllString(help, -1)
	for name, service := range loadCompose(t).Services {
		for variable := range service.Environment {
			if strings.HasPrefix(variable, "REGMEND_") && !slices.Contains(known, variable) {
				t.Errorf("service %s sets %s, which regmend does not know", name, variable)
			}
		}
	}
}

func TestComposeFileStartsInOrder(t *testing.T) {
	project := loadCompose(t)
	for service, before := range map[string]map[string]string{
		"migrate":  {"postgres": types.ServiceConditionHealthy},
		"producer": ready,
		"consumer": ready,
		"web":      ready,
	} {
		for name, condition := range before {
			if got := project.Services[service].DependsOn[name].Condition; got != condition {
				t.Errorf("%s waits for %s until %q, want %q", service, name, got, condition)
			}
		}
	}
	for name, service := range project.Services {
		check := service.HealthCheck
		if ends := name == "migrate"; (check == nil || check.Disable || len(check.Test) == 0) != ends {
			t.Errorf("service %s: health check %v", name, check)
		}
	}
}

var ready = map[string]string{
	"migrate":  types.ServiceConditionCompletedSuccessfully,
	"redis":    types.ServiceConditionHealthy,
	"registry": types.ServiceConditionHealthy,
}

func TestComposeFileIsHardened(t *testing.T) {
	for name, service := range loadCompose(t).Services {
		if !service.ReadOnly || service.Privileged ||
			!slices.Equal(service.CapDrop, []string{"ALL"}) || len(service.CapAdd) > 0 ||
			!slices.Contains(service.SecurityOpt, "no-new-privileges:true") {
			t.Errorf("service %s may do more than it needs", name)
		}
		for _, port := range service.Ports {
			if port.HostIP != "127.0.0.1" {
				t.Errorf("service %s is published beyond this machine", name)
			}
		}
	}
}

func TestComposeConsumersScale(t *testing.T) {
	consumer := loadCompose(t).Services["consumer"]
	if consumer.ContainerName != "" || len(consumer.Ports) > 0 {
		t.Errorf("a second consumer cannot have the name %q or the ports %v", consumer.ContainerName, consumer.Ports)
	}
}

// The files with which the compose file's Postgres begins, in the order of
// their names, make a database that regmend takes for GitLab's.
func TestComposeFileMakesAGitLab(t *testing.T) {
	dir, err := os.MkdirTemp("", "compose-test-") // which an unprivileged Postgres can enter
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	postgres, err := servers.StartPostgres(t.Context(), dir, "fsync=off")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := postgres.Stop(); err != nil {
			t.Error(err)
		}
	})
	db, err := sql.Open("postgres", postgres.URL)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	for _, source := range initScripts(t) {
		script, err := os.ReadFile(source)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := db.ExecContext(t.Context(), string(script)); err != nil {
			t.Fatalf("%s: %v", source, err)
		}
	}
	if said, code := regmend(t.Context(), []string{"REGMEND_DATABASE_URL=" + postgres.URL}, "migrate"); code != 0 {
		t.Errorf("regmend migrate = %d: %s", code, said)
	}
}

// initScripts are the files on this machine, in the order in which they run.
func initScripts(t *testing.T) []string {
	t.Helper()
	byTarget := map[string]string{}
	for _, volume := range loadCompose(t).Services["postgres"].Volumes {
		if strings.HasPrefix(volume.Target, "/docker-entrypoint-initdb.d/") {
			byTarget[volume.Target] = volume.Source
		}
	}
	var sources []string
	for _, target := range slices.Sorted(maps.Keys(byTarget)) {
		sources = append(sources, byTarget[target])
	}
	if len(sources) == 0 {
		t.Fatal("nothing is in /docker-entrypoint-initdb.d")
	}
	return sources
}
