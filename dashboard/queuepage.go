package dashboard

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"maps"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
)

var (
	inlineScript = regexp.MustCompile(`(?s)<script>(.*?)</script>`)
	foreignSheet = regexp.MustCompile(`<link [^>]*href="https?://[^>]*>`)
	foreign      = regexp.MustCompile(`(?i)(?:src|href)\s*=\s*["']?\s*(?:[a-z]+:)?//`)
)

// queuePage is asynqmon's one page, which it answers with wherever it has
// neither a file nor an API. Ours asks no foreign host for web fonts: a browser
// takes its own.
type queuePage struct {
	original []byte
	text     string // with nonceMark where the nonce belongs
	scripts  string // of the policy
}

// nonceMark stands for the nonce, by which the style elements that asynqmon's
// widgets insert are known to be theirs.
const nonceMark = "{{nonce}}"

func readQueuePage(pages http.Handler) (*queuePage, error) {
	answer := httptest.NewRecorder()
	pages.ServeHTTP(answer, httptest.NewRequest(http.MethodGet, queuesRoot+"/", nil))
	p := &queuePage{original: answer.Body.Bytes(), scripts: "script-src 'self'"}
	inline := inlineScript.FindAllSubmatch(p.original, -1)
	for _, script := range inline {
		digest := sha256.Sum256(script[1])
		p.scripts += " 'sha256-" + base64.StdEncoding.EncodeToString(digest[:]) + "'"
	}
	p.text = foreignSheet.ReplaceAllLiteralString(string(p.original), "")
	p.text = strings.Replace(p.text, "<head>", `<head><meta property="csp-nonce" content="`+nonceMark+`">`, 1)
	if answer.Code != http.StatusOK || len(inline) == 0 || !strings.Contains(p.text, nonceMark) || foreign.MatchString(p.text) {
		return nil, errors.New("asynqmon's page is not as expected")
	}
	return p, nil
}

// serve answers with the page where pages would, else with what pages has.
func (p *queuePage) serve(w http.ResponseWriter, r *http.Request, pages http.Handler) {
	answer := httptest.NewRecorder()
	pages.ServeHTTP(answer, r)
	maps.Copy(w.Header(), answer.Header())
	if !bytes.Equal(answer.Body.Bytes(), p.original) {
		w.WriteHeader(answer.Code)
		_, _ = w.Write(answer.Body.Bytes()) // the client has gone
		return
	}
	nonce := rand.Text()
	w.Header().Del("Content-Length")
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Content-Security-Policy", p.policy(nonce))
	w.WriteHeader(answer.Code)
	_, _ = w.Write([]byte(strings.ReplaceAll(p.text, nonceMark, nonce))) // the client has gone
}

// policy allows asynqmon's scripts, the inline ones by their digests, and its
// style elements by the nonce.
func (p *queuePage) policy(nonce string) string {
	return strings.Join([]string{
		"default-src 'none'",
		p.scripts,
		"style-src 'self' 'nonce-" + nonce + "'",
		"img-src 'self' data:",
		"font-src 'self' data:",
		"connect-src 'self'",
		"manifest-src 'self'",
		"base-uri 'none'",
		"form-action 'none'",
		"frame-ancestors 'none'",
	}, "; ")
}
