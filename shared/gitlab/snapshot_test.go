package gitlab_test

import (
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"strings"
	"testing"

	"regmend/shared/gitlab"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// The digests are those of `printf … | sha256sum`: they are kept in databases,
// and so can never change.
func TestDigest(t *testing.T) {
	for name, test := range map[string]struct {
		names []string
		want  string
	}{
		"the empty set":       {nil, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"},
		"the root repository": {[]string{""}, "01ba4719c80b6fe911b091a7c05124b64eeece964e09c058ef8f9805daca546b"},
		"two":                 {[]string{"a", "b/c"}, "a0de030150d30c9aa2726d517addc57d1e291deb93125c81d2795094f02fec76"},
	} {
		t.Run(name, func(t *testing.T) {
			digest := gitlab.Digest(test.names)
			if got := hex.EncodeToString(digest[:]); got != test.want {
				t.Errorf("Digest(%q) = %s, want %s", test.names, got, test.want)
			}
		})
	}
}

func TestParseCanonicalRefusesWhatIsNoSet(t *testing.T) {
	for name, text := range map[string]string{
		"a name twice": "a\na\n", "names out of order": "b\na\n", "the root twice": "\n\n", "no end": "a\nb",
	} {
		if names, err := gitlab.ParseCanonical(text); err == nil {
			t.Errorf("%s: ParseCanonical(%q) = %q", name, text, names)
		}
	}
}

// namesOf makes names of any text: no name holds a newline.
func namesOf(text string) []string { return strings.Split(text, "\n") }

func FuzzCanonical(f *testing.F) {
	f.Add("b\na\nb", "a")
	f.Add("", "a/b\n")
	f.Add("ä\nz\n\n", "")
	f.Fuzz(func(t *testing.T, one, other string) {
		a, b := gitlab.NameSet(namesOf(one)), gitlab.NameSet(namesOf(other))
		text := gitlab.Canonical(a)
		if got, want := gitlab.Digest(a), sha256.Sum256([]byte(text)); got != want {
			t.Errorf("Digest(%q) = %x, of its canonical form it is %x", a, got, want)
		}
		back, err := gitlab.ParseCanonical(text)
		if diff := cmp.Diff(a, back); err != nil || diff != "" {
			t.Errorf("ParseCanonical(%q), %v (-want +got):\n%s", text, err, diff)
		}
		if (gitlab.Digest(a) == gitlab.Digest(b)) != slices.Equal(a, b) {
			t.Errorf("%q and %q are told apart by their digests: %v", a, b, gitlab.Digest(a) != gitlab.Digest(b))
		}
		backwards := namesOf(one)
		slices.Reverse(backwards)
		if again := gitlab.NameSet(append(backwards, namesOf(one)...)); gitlab.Digest(again) != gitlab.Digest(a) {
			t.Errorf("%q has another digest in another order", one)
		}
		changesAreWhole(t, a, b)
	})
}

// changesAreWhole: what vanished taken out of the first, and what appeared put
// into it, is the second.
func changesAreWhole(t *testing.T, before, after []string) {
	t.Helper()
	appeared, vanished := gitlab.Changes(before, after)
	got := slices.DeleteFunc(slices.Clone(before), func(name string) bool { return slices.Contains(vanished, name) })
	got = gitlab.NameSet(append(got, appeared...))
	if diff := cmp.Diff(after, got, cmpopts.EquateEmpty()); diff != "" {
		t.Errorf("Changes(%q, %q) = %q, %q (-want +got):\n%s", before, after, appeared, vanished, diff)
	}
	for _, name := range appeared {
		if slices.Contains(before, name) {
			t.Errorf("%q appeared, and was there before", name)
		}
	}
}

// What is read back is written the same: a text that is no canonical form is
// refused.
func FuzzParseCanonical(f *testing.F) {
	for _, text := range []string{"", "\n", "a\nb\n", "b\na\n", "a\na\n", "a", "\n\n"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		names, err := gitlab.ParseCanonical(text)
		if err != nil {
			return
		}
		if got := gitlab.Canonical(names); got != text {
			t.Errorf("Canonical(ParseCanonical(%q)) = %q", text, got)
		}
	})
}
