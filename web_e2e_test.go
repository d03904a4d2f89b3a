package main_test

import (
	"io"
	"net/http"
	"strconv"
	"strings"
)

// listens is the address that a process was told to listen on.
func (p *process) listens() string { return p.Args()[len(p.Args())-1] }

// get returns a page of a process that was started with --listen ADDRESS or
// --metrics-listen ADDRESS as its last words.
func (in *installation) get(p *process, path string) (status int, body string) {
	in.t.Helper()
	req, err := http.NewRequestWithContext(in.t.Context(), http.MethodGet, "http://"+p.listens()+path, nil)
	if err != nil {
		in.t.Fatal(err)
	}
	req.SetBasicAuth(in.env["REGMEND_WEB_USERNAME"], in.env["REGMEND_WEB_PASSWORD"])
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		in.t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		in.t.Fatal(err)
	}
	return resp.StatusCode, string(text)
}

// metric is the value of a metric, 0 if it is not there.
func (in *installation) metric(p *process, name string) float64 {
	in.t.Helper()
	_, text := in.get(p, "/metrics")
	for line := range strings.Lines(text) {
		value, ok := strings.CutPrefix(strings.TrimSpace(line), name+" ")
		if !ok {
			continue
		}
		n, err := strconv.ParseFloat(value, 64)
		if err != nil {
			in.t.Fatal(err)
		}
		return n
	}
	return 0
}
