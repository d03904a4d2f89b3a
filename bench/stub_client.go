package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"regmend/shared/servers"
)

// stubProcess is the stub as the bench sees it.
type stubProcess struct {
	*servers.Process
	url string
}

// startStub starts the stub, which logs into dir.
func startStub(ctx context.Context, dir string) (*stubProcess, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	port, err := servers.FreePort()
	if err != nil {
		return nil, err
	}
	address := fmt.Sprint("127.0.0.1:", port)
	process, err := servers.Start(exec.Command(self, stubVerb, address), filepath.Join(dir, "stub.log"))
	if err != nil {
		return nil, err
	}
	s := &stubProcess{Process: process, url: "http://" + address}
	err = servers.Await(ctx, "the stub answers", 10*time.Second, func(ctx context.Context) (bool, error) {
		_, err := s.figures(ctx)
		return err == nil, err
	})
	if err != nil {
		return nil, errors.Join(err, process.Kill())
	}
	return s, nil
}

// begin gives the stub its orders and forgets what it counted.
func (s *stubProcess) begin(ctx context.Context, o orders) error {
	body, err := json.Marshal(o)
	if err != nil {
		return err
	}
	return s.ask(ctx, "begin", body, new(any))
}

func (s *stubProcess) figures(ctx context.Context) (t told, err error) {
	return t, s.ask(ctx, "figures", nil, &t)
}

// recorded are the addresses of the listings since begin.
func (s *stubProcess) recorded(ctx context.Context) (addresses []string, err error) {
	return addresses, s.ask(ctx, "recorded", nil, &addresses)
}

func (s *stubProcess) ask(ctx context.Context, what string, body []byte, answer any) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, s.url+"/bench/"+what, bytes.NewReader(body))
	if err != nil {
		return err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("the stub answers %s to %s", resp.Status, what)
	}
	return json.NewDecoder(resp.Body).Decode(answer)
}
