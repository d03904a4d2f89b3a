package servers

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
)

// Registry is a private container registry: CNCF Distribution, which keeps
// its images in its folder.
type Registry struct {
	server
	URL  string
	Addr string // host and port, as image references have them
	Dir  string
	Port int
}

// StartRegistry starts a registry in dir with variables of its own, such as
// "REGISTRY_LOG_LEVEL=debug". It allows deletes and asks for no credentials.
func StartRegistry(ctx context.Context, dir string, env ...string) (*Registry, error) {
	// Debian's name for it, and its own since version 3.
	binary, err := find("docker-registry", "docker-registry")
	if err != nil {
		binary, err = find("registry", "docker-registry")
	}
	if err != nil {
		return nil, err
	}
	r := &Registry{Dir: dir}
	err = r.startOnFreePort(ctx, func(port int) (program, error) {
		r.Port, r.Addr = port, loopback(port)
		config := filepath.Join(dir, "registry.yml")
		text := fmt.Sprintf(registryConfig, filepath.Join(dir, "images"), r.Addr, identityHeader, dir)
		if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
			return program{}, err
		}
		return program{
			command: func() *exec.Cmd {
				cmd := exec.Command(binary, "serve", config)
				cmd.Env = append(os.Environ(), env...)
				return cmd
			},
			log:     filepath.Join(dir, "registry.log"),
			signals: signals{stop: syscall.SIGTERM, kill: syscall.SIGKILL},
			ready:   func(ctx context.Context, _ int) error { return registryReady(ctx, "http://"+r.Addr, dir) },
		}, nil
	})
	if err != nil {
		return nil, err
	}
	r.URL = "http://" + r.Addr
	return r, nil
}

// identityHeader is on every answer and names the registry's folder, which
// tells it from another registry that took the port.
const identityHeader = "X-Registry-Folder"

const registryConfig = `version: 0.1
log:
  level: warn
  accesslog:
    disabled: true
storage:
  filesystem:
    rootdirectory: %s
  cache:
    blobdescriptor: inmemory
  delete:
    enabled: true
  maintenance:
    uploadpurging:
      enabled: false
http:
  addr: %s
  headers:
    %s: [%q]
`

func registryReady(ctx context.Context, url, dir string) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url+"/v2/", nil)
	if err != nil {
		return err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close() //nolint:errcheck // only read from
	if _, err := io.Copy(io.Discard, resp.Body); err != nil {
		return err
	}
	if resp.Header.Get(identityHeader) != dir {
		return errors.New("another server has the port")
	}
	if resp.StatusCode != http.StatusOK && resp.StatusCode != http.StatusUnauthorized {
		return errors.New("status " + strconv.Itoa(resp.StatusCode))
	}
	return nil
}
