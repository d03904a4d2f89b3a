package gitlab_test

import (
	"regexp"
	"testing"

	"regmend/shared/gitlab"
)

// asGitLab is GitLab's own rule.
var asGitLab = regexp.MustCompile(`\A[a-z0-9]+(([._/]|__|-*)[a-z0-9])*\z`)

func FuzzValidRepositoryPath(f *testing.F) {
	for _, path := range []string{"", "a", "a-b", "a--b", "a-", "-a", "a__b", "a___b", "a._b", "a/b", "a//b", "A", "ä", "a\n", "a-_b", "a_-b", "9/__x"} {
		f.Add(path)
	}
	f.Fuzz(func(t *testing.T, path string) {
		want := len(path) <= 255 && asGitLab.MatchString(path)
		if got := gitlab.ValidRepositoryPath(path); got != want {
			t.Errorf("ValidRepositoryPath(%q) = %v, want %v", path, got, want)
		}
	})
}
