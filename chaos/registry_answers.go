package main

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"regmend/shared/gitlab/gitlabtest"
	"regmend/shared/registry/registrytest"
)

// spoiled is a bad answer to a listing of a path.
type spoiled func(path string, dice *rand.Rand) registrytest.Fault

// outageAnswers are those by which a registry says that it is not itself.
var outageAnswers = map[string]bool{
	"429-once-integer": true, "429-once-float": true, "429-once-date": true, "503-once": true,
	"404-empty-once": true, "404-text-once": true, "401-once": true, "connection-dropped": true,
}

// singleKinds are the bad answers that one listing is given.
func singleKinds() []kind {
	var kinds []kind
	for _, single := range []struct {
		name  string
		spoil spoiled
	}{
		{"500-one-path", always(registrytest.Status(http.StatusInternalServerError, "UNKNOWN"))},
		{"429-once-integer", once429("integer")},
		{"429-once-float", once429("float")},
		{"429-once-date", once429("date")},
		{"502-html-once", always(badGateway)},
		{"503-once", always(registrytest.Status(http.StatusServiceUnavailable, "UNAVAILABLE"))},
		{"404-empty-once", always(notThere)},
		{"404-text-once", always(registrytest.Answer(http.StatusNotFound, map[string]string{"Content-Type": "text/plain"}, "404 page not found\n"))},
		{"401-once", always(refusedToken)},
		{"cut", func(_ string, dice *rand.Rand) registrytest.Fault { return registrytest.CutShare(dice.Float64()) }},
		{"truncated", func(_ string, dice *rand.Rand) registrytest.Fault {
			return registrytest.Truncate(0.98 * dice.Float64())
		}},
		{"invalid-json", oneOf(invalidJSON)},
		{"wrong-types", oneOf(wrongTypes)},
		{"html-200", always(registrytest.HTML())},
		{"null-200", always(registrytest.Null())},
		{"empty-body-200", always(registrytest.Answer(http.StatusOK, nil, ""))},
		{"page-repeated-for-ever", always(sameAgain)},
		{"link-other-host", always(registrytest.NextLink(linkOtherHost))},
		{"link-to-itself", always(registrytest.RepeatPage())},
		{"link-long", always(registrytest.NextLink(linkLong))},
		{"link-commas", always(registrytest.NextLink(linkCommas))},
		{"redirect-other-host", always(redirected)},
		{"name-10mb", onePath(func(path string) string { return path + "/" + strings.Repeat("x", 10<<20) })},
		{"nul-in-name", onePath(func(path string) string { return path + `/a\u0000b` })},
		{"invalid-utf8", onePath(func(path string) string { return path + "/a\xffb" })},
		{"duplicates-over-pages", always(registrytest.NextLink(linkToBeginning))},
		{"entries-of-others", func(path string, _ *rand.Rand) registrytest.Fault { return registrytest.Intruders(intruders(path)...) }},
		{"trickled-once", always(registrytest.Trickle(time.Millisecond))},
		{"connection-dropped", always(registrytest.Drop())},
	} {
		kinds = append(kinds, kind{
			name: "registry/" + single.name, outage: outageAnswers[single.name],
			spoil: func(p gitlabtest.Project, dice *rand.Rand) registrytest.Fault {
				return single.spoil(strings.ToLower(p.FullPath), dice)
			},
		})
	}
	return kinds
}

func always(fault registrytest.Fault) spoiled {
	return func(string, *rand.Rand) registrytest.Fault { return fault }
}

// onePath is a page of one entry, made when it is sent: it may be large.
func onePath(of func(path string) string) spoiled {
	return func(path string, _ *rand.Rand) registrytest.Fault {
		return func(answer http.Handler) http.Handler { return registrytest.Entry(of(path))(answer) }
	}
}

// oneOf are bodies in which %s is the path.
func oneOf(bodies []string) spoiled {
	return func(path string, dice *rand.Rand) registrytest.Fault {
		return registrytest.Answer(http.StatusOK, nil, strings.ReplaceAll(bodies[dice.IntN(len(bodies))], "%s", path))
	}
}

var invalidJSON = []string{
	`[{"path":"%s/x"},]`, `[{"path":"%s/x"}`, `[{'path':'%s/x'}]`, `[{"path":"%s"}{"path":"%s/x"}]`,
	`[{"path":"%s/x"}] []`, `[] <html>`, `[{"path":"%s/x","path":"%s/y"}]`, `{"path":"%s"`, `[NaN]`, "\x00", `]`,
}

var wrongTypes = []string{
	`{}`, `{"repositories":["%s/x"]}`, `"%s"`, `7`, `true`, `["%s/x"]`, `[["%s/x"]]`, `[null]`, `[{}]`,
	`[{"path":5}]`, `[{"path":null}]`, `[{"path":["%s/x"]}]`, `[{"path":{"x":"%s/x"}}]`, `[{"path":""}]`, `[{"name":"x"}]`,
	`{"errors":[{"code":"NAME_UNKNOWN"}]}`,
}

// intruders are paths near the given one that are no repositories of its
// project.
func intruders(path string) []string {
	parent, name := "", path
	if slash := strings.LastIndexByte(path, '/'); slash > 0 {
		parent, name = path[:slash], path[slash+1:]
	}
	return []string{
		path + "-x/y", path + ".y", path + "z/z", path[:len(path)-1], parent, parent + "/another-" + name, "nobody/" + name,
		"x" + path, "regmend/" + path + "/web", strings.ReplaceAll(path, "p", "q") + "-/web",
	}
}

// The Links lead to what follows the page, unless they say otherwise.

func following(req *http.Request, last string) string {
	if last == "" {
		last = "0" // it is no repository's
	}
	query := url.Values{"n": {req.URL.Query().Get("n")}, "last": {last}}
	return req.URL.EscapedPath() + "?" + query.Encode()
}

func stranger(req *http.Request) string {
	_, port, _ := strings.Cut(req.Host, ":")
	return "https://" + strangerHost + ":" + port
}

func linkOtherHost(req *http.Request, last string) string {
	return "<" + stranger(req) + following(req, last) + `>; rel="next"`
}

func linkLong(req *http.Request, last string) string {
	return "<" + following(req, last) + "&padding=" + strings.Repeat("x", 600) + `>; rel="next"`
}

func linkCommas(req *http.Request, last string) string {
	return `</elsewhere?a,b>; rel="prev"; title="a, b; <c>", <` + following(req, last) + `&some=a,b,c>; title="one, \"two\"; three"; rel="next"`
}

// linkToBeginning lets the next page have the same entries again.
func linkToBeginning(req *http.Request, _ string) string {
	return "<" + following(req, "") + `>; rel="next"`
}

// samePage marks listings whose every page is the first one.
const samePage = "same"

// sameAgain sends the first page, whichever is asked for, with a Link as if it
// were a full one of many.
func sameAgain(answer http.Handler) http.Handler {
	linked := registrytest.NextLink(func(req *http.Request, last string) string {
		return "<" + following(req, last) + "&" + beganWith + "=" + samePage + `>; rel="next"`
	})(answer)
	return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		query := req.URL.Query()
		query.Del("last")
		first := req.Clone(req.Context())
		first.URL.RawQuery = query.Encode()
		linked.ServeHTTP(w, first)
	})
}

func redirected(http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		registrytest.Redirect(stranger(req)+req.URL.RequestURI())(nil).ServeHTTP(w, req)
	})
}

// refusedToken refuses the token, and names the stranger as the one who gives
// others.
func refusedToken(http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		registrytest.RefuseToken(stranger(req)+"/jwt/auth")(nil).ServeHTTP(w, req)
	})
}

var badGateway = registrytest.Answer(http.StatusBadGateway, map[string]string{"Content-Type": "text/html"},
	"<html><head><title>502 Bad Gateway</title></head><body>nginx</body></html>\n")

// notThere is what GitLab's registry says while its metadata database is off.
var notThere = registrytest.Answer(http.StatusNotFound, map[string]string{"Gitlab-Container-Registry-Version": "4.32.0-gitlab"}, "")

// retryAfters are the forms in which a registry says until when, a whole second,
// it wants to be left alone.
var retryAfters = map[string]func(until time.Time) string{
	"integer": func(until time.Time) string { return strconv.Itoa(int(time.Until(until).Seconds() + 1)) },
	"float":   func(until time.Time) string { return fmt.Sprintf("%.6f", max(time.Until(until).Seconds(), 0)) },
	"date":    func(until time.Time) string { return until.UTC().Format(http.TimeFormat) },
}

// tooManyUntil answers 429.
func tooManyUntil(until time.Time, form string) registrytest.Fault {
	return func(http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
			registrytest.TooMany(retryAfters[form](until))(nil).ServeHTTP(w, req)
		})
	}
}

// afterAll is the first whole second that is at least so far away.
func afterAll(d time.Duration) time.Time {
	return time.Now().Add(d + time.Second - 1).Truncate(time.Second)
}

// once429 asks to be left alone for one to two seconds.
func once429(form string) spoiled {
	return always(func(http.Handler) http.Handler { return tooManyUntil(afterAll(time.Second), form)(nil) })
}
