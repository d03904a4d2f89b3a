package registrytest_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"regmend/shared/registry/registrytest"

	"github.com/google/go-cmp/cmp"
)

// The faults as they were measured on registries with databases of the three
// collations: which of the repositories there are a listing leaves out, and which
// foreign ones it brings.
func TestListingsAreWrongAsMeasured(t *testing.T) {
	const c, glibc, icu = registrytest.C, registrytest.Glibc, registrytest.ICU
	tests := []struct {
		name      string
		collation registrytest.Collation
		path      string
		pushed    []string
		want      []string
	}{
		{"C is exact", c, "g/app9", []string{"g/app9", "g/app9/x", "g/app99"}, []string{"g/app9", "g/app9/x"}},
		{"C is exact with _", c, "g/a_b", []string{"g/a_b/x", "g/axb/x"}, []string{"g/a_b/x"}},
		{"C and a top level of a", c, "aaa", []string{"aaa", "aaa/x"}, nil},
		{"glibc ends in 9", glibc, "g/app9", []string{"g/app9", "g/app9/x"}, nil},
		{"glibc 0a", glibc, "g/x0a", []string{"g/x0a", "g/x0a/y"}, nil},
		{"glibc ends in -z", glibc, "g/x-z", []string{"g/x-z", "g/x-z/y"}, []string{"g/x-z"}},
		{"glibc ends in .z", glibc, "g/x.z", []string{"g/x.z", "g/x.z/y"}, []string{"g/x.z"}},
		{"glibc ends in _z", glibc, "g/x_z", []string{"g/x_z", "g/x_z/y"}, []string{"g/x_z"}},
		{"glibc made of z", glibc, "zzz/zz", []string{"zzz/zz", "zzz/zz/y"}, nil},
		{"glibc _ is any character", glibc, "g/a_b", []string{"g/a_b/x", "g/a-b/x"}, []string{"g/a-b/x", "g/a_b/x"}},
		{"ICU ends in 9", icu, "g/app9", []string{"g/app9", "g/app9/x"}, nil},
		{"ICU ends in -a", icu, "g/x-a", []string{"g/x-a", "g/x-a/y"}, nil},
		{"ICU ends in _a", icu, "g/x_a", []string{"g/x_a", "g/x_a/y"}, nil},
		{"ICU ends in -z", icu, "g/x-z", []string{"g/x-z", "g/x-z/y"}, []string{"g/x-z", "g/x-z/y"}},
		{"ICU foreign ones for _z", icu, "g/x_z", []string{"g/x_z/y", "g/x-z/y"}, []string{"g/x_z/y", "g/x-z/y"}},
		{"ICU is exact elsewhere", icu, "g/a_b", []string{"g/a_b/x", "g/a-b/x"}, []string{"g/a_b/x"}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			r := registrytest.New(registrytest.Options{Collation: test.collation})
			for _, path := range test.pushed {
				r.Push(path, "v1")
			}
			if diff := cmp.Diff(test.want, listed(t, r, test.path)); diff != "" {
				t.Errorf("listing of %s (-want +got):\n%s", test.path, diff)
			}
		})
	}
}

func TestOrderIsTheCollations(t *testing.T) {
	tests := map[string]struct {
		collation registrytest.Collation
		want      []string
	}{
		"C":     {registrytest.C, []string{"g/p", "g/p-x", "g/p.y", "g/p/a", "g/p_b", "g/pa"}},
		"glibc": {registrytest.Glibc, []string{"g/p", "g/p/a", "g/pa", "g/p_b", "g/p-x", "g/p.y"}},
		"ICU":   {registrytest.ICU, []string{"g/p", "g/p_b", "g/p-x", "g/p.y", "g/p/a", "g/pa"}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			r := registrytest.New(registrytest.Options{Collation: test.collation})
			for _, path := range test.want {
				r.Push(path, "v1")
			}
			if diff := cmp.Diff(test.want, listed(t, r, "g")); diff != "" {
				t.Errorf("order (-want +got):\n%s", diff)
			}
		})
	}
}

func listed(t *testing.T, r http.Handler, path string) []string {
	t.Helper()
	w := httptest.NewRecorder()
	r.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/gitlab/v1/repository-paths/"+path+"/repositories/list/?n=1000", nil))
	var entries []struct{ Path string }
	if err := json.Unmarshal(w.Body.Bytes(), &entries); err != nil || w.Code != http.StatusOK {
		t.Fatalf("list %s: %d %s", path, w.Code, strings.TrimSpace(w.Body.String()))
	}
	var paths []string
	for _, entry := range entries {
		paths = append(paths, entry.Path)
	}
	return paths
}
