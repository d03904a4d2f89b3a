package consumer_test

import (
	"encoding/base64"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// tokenEndpoint is GitLab's: answer gives the status and the claims of the token
// for a path.
func tokenEndpoint(t *testing.T, answer func(req *http.Request, path string) (status int, claims string)) string {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, req *http.Request) {
		scope := strings.Split(req.URL.Query().Get("scope"), ":")
		if req.URL.Path != "/jwt/auth" || len(scope) != 3 || scope[0] != "repository" || scope[2] != "push" {
			http.Error(rw, "not a request for a token to push", http.StatusBadRequest)
			return
		}
		status, claims := answer(req, scope[1])
		rw.WriteHeader(status)
		fmt.Fprintf(rw, `{"token":"e30.%s.c2ln"}`, base64.RawURLEncoding.EncodeToString([]byte(claims)))
	}))
	t.Cleanup(server.Close)
	return server.URL
}
