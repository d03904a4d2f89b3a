package main_test

import (
	"bytes"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// keepSecretPEM takes each line of a PEM file's content for a secret.
func (in *installation) keepSecretPEM(what string, text []byte) {
	for i, line := range bytes.Split(bytes.TrimSpace(text), []byte("\n")) {
		if !bytes.HasPrefix(line, []byte("-----")) {
			in.secrets[fmt.Sprintf("%s, line %d", what, i)] = string(line)
		}
	}
}

// checkSecrets complains of texts, by where they are, in which a secret or a
// token is.
func (in *installation) checkSecrets(texts map[string]string) {
	in.t.Helper()
	secrets := maps.Clone(in.secrets)
	for i, token := range in.tokens() {
		secrets[fmt.Sprint("token ", i)] = token
	}
	for where, text := range texts {
		for what, secret := range secrets {
			if strings.Contains(text, secret) {
				in.t.Errorf("%s has the %s", where, what)
			}
		}
	}
}

// tokens are those the registry was sent.
func (in *installation) tokens() []string {
	seen := map[string]bool{}
	for _, req := range in.registry.Requests() {
		if _, token, ok := strings.Cut(req.Authorization, " "); ok {
			seen[token] = true
		}
	}
	return slices.Collect(maps.Keys(seen))
}
