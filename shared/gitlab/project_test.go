package gitlab_test

import (
	"strings"
	"testing"

	"regmend/shared/gitlab"

	"github.com/google/go-cmp/cmp"
)

func TestProjectOwns(t *testing.T) {
	tests := map[string]struct {
		fullPath, path string
		name           string
		owned          bool
	}{
		"its root repository":                  {"g/app", "g/app", "", true},
		"a repository below it":                {"g/app", "g/app/web", "web", true},
		"a repository several levels below it": {"g/app", "g/app/a/b/c", "a/b/c", true},
		"a path in mixed case":                 {"Group/App", "group/app/web", "web", true},
		"a project with the same beginning":    {"g/app", "g/app-x", "", false},
		"a repository of such a project":       {"g/app", "g/app2/web", "", false},
		"_ is no wildcard":                     {"g/a_p", "g/axp/web", "", false},
		"% is no wildcard":                     {"g/a%", "g/app/web", "", false},
		"its group":                            {"g/app", "g", "", false},
		"a slash and nothing more":             {"g/app", "g/app/", "", false},
		"registry paths are lower case":        {"g/app", "g/App", "", false},
		"a project without a path":             {"", "g/app", "", false},
		"nothing":                              {"", "", "", false},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			got, owned := gitlab.Project{ID: 1, FullPath: test.fullPath}.Owns(test.path)
			if got != test.name && owned || owned != test.owned {
				t.Errorf("Owns(%q) = %q, %v, want %q, %v", test.path, got, owned, test.name, test.owned)
			}
		})
	}
}

func TestValidRepositoryPath(t *testing.T) {
	for path, want := range map[string]bool{
		"app":                             true,
		"group/app":                       true,
		"group/a.b_c__d-e--f/0":           true,
		"a/b/c/d/e":                       true,
		"":                                false,
		"/app":                            false,
		"app/":                            false,
		"group//app":                      false,
		"group/-app":                      false,
		"group/app-":                      false,
		"group/_app":                      false,
		"group/a___b":                     false,
		"group/a..b":                      false,
		"Group/app":                       false,
		"group/app\n":                     false,
		"group/äpp":                       false,
		strings.Repeat("a", 255):          true,
		strings.Repeat("a", 256):          false,
		"g/" + strings.Repeat("a/b/", 60): false,
	} {
		if got := gitlab.ValidRepositoryPath(path); got != want {
			t.Errorf("ValidRepositoryPath(%q) = %v, want %v", path, got, want)
		}
	}
}

// What a project owns is found again under the name it was given.
func FuzzOwns(f *testing.F) {
	f.Add("Group/App", "group/app/web")
	f.Add("g/a_p", "g/axp/web")
	f.Add("g/app", "g/app-x")
	f.Fuzz(func(t *testing.T, fullPath, path string) {
		p := gitlab.Project{ID: 1, FullPath: fullPath}
		name, owned := p.Owns(path)
		if !owned {
			return
		}
		if diff := cmp.Diff(path, p.RepositoryPath(name)); diff != "" {
			t.Errorf("the repository is elsewhere (-owned +named):\n%s", diff)
		}
	})
}
