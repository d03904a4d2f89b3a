package registry_test

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"regmend/shared/registry"
)

func FuzzNextLink(f *testing.F) {
	for _, seed := range []string{
		`</gitlab/v1/x?last=group%2Fproj&n=1>; rel="next"`, `</x>; rel="prev", </y>; title="a, \"b\""; rel=next`,
		`<`, `<>; rel=next`, `</x>; rel="next`, `,,,`, `</x>;;;rel="a next b"`, "</x>\t;\trel\t=\tnext",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, header string) {
		next, err := registry.NextLink([]string{header})
		if err != nil || next == "" {
			return
		}
		if !strings.Contains(header, "<"+next+">") {
			t.Errorf("NextLink(%q) = %q, which is not in it", header, next)
		}
		again, err := registry.NextLink([]string{"<" + next + `>; rel="next"`})
		if err != nil || again != next {
			t.Errorf("written again: %q, %v, want %q", again, err, next)
		}
	})
}

// checkPaths holds what was read against what encoding/json makes of the body,
// which forgives more.
func checkPaths(t *testing.T, body string, got, forgiving []string, err error) {
	t.Helper()
	if err != nil {
		if got != nil {
			t.Errorf("%q: %v with an error", body, got)
		}
		return
	}
	if !json.Valid([]byte(body)) || !utf8.ValidString(strings.Join(got, "")) || slices.Contains(got, "") {
		t.Errorf("%q was taken for %q", body, got)
	}
	if !slices.Equal(got, forgiving) {
		t.Errorf("%q: %q, want %q", body, got, forgiving)
	}
}

func FuzzListing(f *testing.F) {
	for _, seed := range []string{
		`[]`, `[{"name":"p","path":"g/p","created_at":"2026-01-02T03:04:05.000Z"}]`, `[{"path":"g/p","x":{"path":["y"]}},{"path":"g/q"}]`,
		`null`, `{}`, `<html>`, ``, `[] []`, `[{"path":"a","path":"b"}]`, "[{\"path\":\"\xff\"}]", `[{"path":"\ud800"}]`, `[{"path":"a"},]`, `[{}]`,
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, body string) {
		got, err := registry.DecodeListing(body)
		var entries []map[string]any
		_ = json.Unmarshal([]byte(body), &entries) // what is invalid is found by checkPaths
		var forgiving []string
		for _, entry := range entries {
			path, _ := entry["path"].(string)
			forgiving = append(forgiving, path)
		}
		checkPaths(t, body, got, forgiving, err)
	})
}

func FuzzCatalog(f *testing.F) {
	for _, seed := range []string{
		`{"repositories":[]}`, `{"repositories":["g/p","g/q"]}`, `{"repositories":null}`, `{}`, `null`, `[]`, ``, `<html>`,
		`{"repositories":["a"],"repositories":[]}`, `{"x":[1,{"repositories":["z"]}],"repositories":["a"]}`, `{"repositories":["a"]}{}`,
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, body string) {
		got, err := registry.DecodeCatalog(body)
		var document map[string]any
		_ = json.Unmarshal([]byte(body), &document) // what is invalid is found by checkPaths
		var forgiving []string
		entries, _ := document["repositories"].([]any)
		for _, entry := range entries {
			path, _ := entry.(string)
			forgiving = append(forgiving, path)
		}
		checkPaths(t, body, got, forgiving, err)
	})
}

func FuzzErrorCode(f *testing.F) {
	for _, seed := range []string{
		`{"errors":[{"code":"NAME_UNKNOWN","message":"x","detail":{"namespace":"x"}}]}`, `{"errors":[]}`, `{}`, ``, `404 page not found`,
		`{"errors":[{"code":"A"},{"code":"B"}]}`, `{"errors":[{"code":"A","code":"NAME_UNKNOWN"}]}`, `{"errors":[{"code":"NAME_UNKNOWN"}]} x`,
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, body string) {
		code := registry.ErrorCode([]byte(body))
		if code == "" {
			return
		}
		var document map[string]any
		if err := json.Unmarshal([]byte(body), &document); err != nil {
			t.Fatalf("%q has the code %q: %v", body, code, err)
		}
		entries, _ := document["errors"].([]any)
		for _, entry := range entries {
			if fields, _ := entry.(map[string]any); fields["code"] != code {
				t.Errorf("%q has the code %q", body, code)
			}
		}
	})
}
