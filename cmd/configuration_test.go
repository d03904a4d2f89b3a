package cmd_test

import (
	"testing"

	"regmend/cmd"

	"github.com/google/go-cmp/cmp"
)

// What the contract promises of the environment.
func TestEveryVariableOfTheContract(t *testing.T) {
	const flag, secret = true, true
	want := map[string]cmd.Variable{}
	for _, v := range []cmd.Variable{
		{"REGMEND_DATABASE_URL", flag, secret},
		{"REGMEND_REDIS_URL", flag, secret},
		{"REGMEND_REGISTRY_URL", flag, !secret},
		{"REGMEND_REGISTRY_API", flag, !secret},
		{"REGMEND_REGISTRY_USERNAME", flag, !secret},
		{"REGMEND_REGISTRY_PASSWORD", !flag, secret},
		{"REGMEND_REGISTRY_TOKEN_KEY_FILE", flag, !secret},
		{"REGMEND_REGISTRY_TOKEN_ISSUER", flag, !secret},
		{"REGMEND_REGISTRY_TOKEN_SERVICE", flag, !secret},
		{"REGMEND_LISTEN", flag, !secret},
		{"REGMEND_METRICS_LISTEN", flag, !secret},
		{"REGMEND_WEB_USERNAME", flag, !secret},
		{"REGMEND_WEB_PASSWORD", !flag, secret},
		{"REGMEND_LOG_LEVEL", flag, !secret},
		{"REGMEND_LOG_FORMAT", flag, !secret},
		// Beyond the contract.
		{"REGMEND_REGISTRY_TOKEN_REALM", flag, !secret},
		{"REGMEND_REGISTRY_CA_FILE", flag, !secret},
		{"REGMEND_GITLAB_URL", flag, !secret},
		{"REGMEND_GITLAB_USERNAME", flag, !secret},
		{"REGMEND_GITLAB_PASSWORD", !flag, secret},
	} {
		want[v.Name] = v
	}
	got := map[string]cmd.Variable{}
	for _, v := range cmd.Variables() {
		got[v.Name] = v
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("variables (-want +got):\n%s", diff)
	}
}
