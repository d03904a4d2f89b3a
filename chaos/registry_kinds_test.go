package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strings"
	"testing"
	"time"

	"regmend/shared/registry/registrytest"
)

// outages says of each outage what a listing looks like meanwhile: one of these.
var outages = map[string][]string{
	"down":            {`^0 .*(EOF|reset|closed|refused)`},
	"slow":            {`^200 `},
	"hung":            {`^0 .*deadline exceeded`},
	"500-all":         {`^500 .*"UNKNOWN"`},
	"502-html":        {`^502 .*text/html`},
	"503":             {`^503 .*"UNAVAILABLE"`},
	"no-database":     {`^404 .*Registry-Version.* <> after`},
	"401-in-mid-scan": {`^200 `}, // with a new token
	"rejected-tokens": {`^401 .*invalid_token.*"UNAUTHORIZED"`},
	"clock-90s":       {`^200 `}, // as long as the clock is ahead
	"tls-failure":     {`^0 .*unknown authority`, `^0 .*valid for 192\.0\.2\.1`, `^0 .*expired`, `^0 .*handshake failure|^0 .*internal error`},
	"collation-glibc": {`^200 `},
	"collation-icu":   {`^200 `},
}

// What is listed in every outage: more than a page, and in the collations not in
// the order of bytes.
func outageProjects() map[string]int {
	return map[string]int{"grp/app1": 120, "grp/app1_x": 2, "grp/app1.y": 2, "elsewhere": 1}
}

func TestRegistryOutages(t *testing.T) {
	t.Parallel()
	in := registryInstallation(t, outageProjects())
	r := in.registry
	for _, o := range registryOutages {
		t.Run(o.name, func(t *testing.T) {
			seen := map[string]bool{}
			for seed := range uint64(60) { // until the dice had every way
				want := outages[o.name]
				if len(want) == 0 {
					t.Fatal("nothing is known of it")
				}
				c := newCaller(t, r)
				c.whole("elsewhere") // so that it has a connection
				end := o.begin(r, rand.New(rand.NewPCG(seed, 1)))
				ctx, cancel := context.WithTimeout(t.Context(), time.Second)
				got := c.ask(ctx, "elsewhere")
				cancel()
				end()
				c.whole("grp/app1")
				for _, w := range want {
					seen[w] = seen[w] || matches(w, got.String())
				}
				// A connection that is cut may say so first.
				if !matches(strings.Join(want, "|")+`|^0 .*EOF$`, got.String()) {
					t.Fatalf("a listing is %s, want %s", got, want)
				}
				if len(seen) == len(want) && allTrue(seen) && seed >= 2 {
					return
				}
			}
			t.Errorf("of what it may be like there was only %v", seen)
		})
	}
}

func allTrue(m map[string]bool) bool {
	for _, v := range m {
		if !v {
			return false
		}
	}
	return true
}

func TestSlowTakesLong(t *testing.T) {
	t.Parallel()
	in := registryInstallation(t, map[string]int{"grp/app1": 3})
	c := newCaller(t, in.registry)
	defer ill(registrytest.Trickle(time.Millisecond))(in.registry, nil)()
	if s := c.ask(t.Context(), "grp/app1"); s.status != http.StatusOK || s.took < 200*time.Millisecond {
		t.Errorf("a listing is %s, want it to take longer", s)
	}
}

// What hung is answered, dropped, or passes when the network lets it through.
func TestHungRequestsEnd(t *testing.T) {
	t.Parallel()
	in := registryInstallation(t, map[string]int{"grp/app1": 3})
	ends := map[int]int{}
	for seed := range uint64(9) {
		c := newCaller(t, in.registry)
		end := in.registry.hang(rand.New(rand.NewPCG(seed, 1)))
		done := make(chan said, 1)
		go func() { done <- c.ask(t.Context(), "grp/app1") }()
		select {
		case s := <-done:
			t.Errorf("it did not hang: %s", s)
		case <-time.After(100 * time.Millisecond):
		}
		end()
		ends[(<-done).status]++
		c.whole("grp/app1")
	}
	if ends[0] == 0 || ends[http.StatusOK] == 0 || len(ends) != 2 {
		t.Errorf("hung requests ended so: %v", ends)
	}
}

func TestRevokedTokensAreRefused(t *testing.T) {
	t.Parallel()
	in := registryInstallation(t, map[string]int{"grp/app1": 3})
	c := newCaller(t, in.registry)
	token := c.token("grp/app1")
	use := func() int { return c.get(t.Context(), listURL("grp/app1"), token).status }
	if got := use(); got != http.StatusOK {
		t.Fatalf("a token is answered with %d", got)
	}
	end := in.registry.revoke(nil)
	if got := use(); got != http.StatusUnauthorized {
		t.Errorf("a revoked token is answered with %d", got)
	}
	token = c.token("grp/app1")
	awaitTrue(t, "a newer token is revoked too", func() bool { return use() == http.StatusUnauthorized })
	end()
	c.whole("grp/app1")
}

func TestClockIsAheadThenBehind(t *testing.T) {
	t.Parallel()
	in := registryInstallation(t, map[string]int{"grp/app1": 3})
	c := newCaller(t, in.registry)
	end := in.registry.misjudgeTime(nil)
	off := func() time.Duration {
		s := c.ask(t.Context(), "grp/app1")
		said, err := http.ParseTime(s.header.Get("Date"))
		if err != nil || (s.status == http.StatusOK) != said.After(time.Now()) {
			t.Errorf("a listing is %s", s)
		}
		return time.Until(said).Round(10 * time.Second)
	}
	if got := off(); got != 90*time.Second {
		t.Errorf("the clock is %s off", got)
	}
	awaitTrue(t, "the clock is behind", func() bool { return off() == -90*time.Second })
	end()
	c.whole("grp/app1")
}

// A listing never mixes the orders of two collations, and is whole in each.
func TestListingsKeepTheirCollation(t *testing.T) {
	t.Parallel()
	in := registryInstallation(t, outageProjects())
	c, r := newCaller(t, in.registry), in.registry
	first := func() (page, next string) {
		s := c.ask(t.Context(), "grp")
		link := nextPage.FindStringSubmatch(s.header.Get("Link"))
		if link == nil {
			t.Fatalf("no second page: %s", s)
		}
		return s.body, link[1]
	}
	bytewise, bytewiseNext := first()
	for _, name := range []string{twinGlibc, twinICU} {
		end := r.suffer(r.otherwise(name))
		page, next := first()
		if page == bytewise {
			t.Errorf("%s: the order is the bytes'", name)
		}
		during := len(c.rest(bytewiseNext, "grp"))
		c.whole("grp")
		end()
		if during != 24 || len(c.rest(next, "grp")) != 24 {
			t.Errorf("%s: the second pages hold %d and %d, want 24", name, during, len(c.rest(next, "grp")))
		}
		c.whole("grp")
	}
}

func TestWrongRegistries(t *testing.T) {
	t.Parallel()
	in := registryInstallation(t, outageProjects())
	c, r := newCaller(t, in.registry), in.registry
	for twin, want := range map[string]string{
		twinEmpty:   `^200 .*<\[\]`,
		twinForeign: `^404 .*"NAME_UNKNOWN"`,
	} {
		end := r.suffer(r.replaced(twin))
		for path := range outageProjects() {
			if s := c.ask(t.Context(), path); !matches(want, s.String()) {
				t.Errorf("%s: listing of %s is %s, want %s", twin, path, s, want)
			}
		}
		if s := c.ask(t.Context(), "never-pushed"); !matches(`^404 .*"NAME_UNKNOWN"`, s.String()) {
			t.Errorf("%s: listing of an unknown namespace is %s", twin, s)
		}
		end()
		c.whole("grp")
	}
}

// Whoever goes on asking when told not to is found out, if nothing else can be
// the reason.
func TestRetryAfterIsWatched(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		form          string
		polite, alone bool
		damaged       bool
	}{
		{"integer", false, true, true},
		{"float", false, false, false},
		{"date", true, true, false},
	} {
		t.Run(fmt.Sprintf("%+v", test), func(t *testing.T) {
			t.Parallel()
			in := registryInstallation(t, map[string]int{"grp/app1": 3})
			c := newCaller(t, in.registry)
			in.registry.alone.Store(test.alone)
			asking, stop := context.WithCancel(t.Context())
			asked := make(chan string)
			go func() { asked <- c.keepAsking(asking, test.polite) }()
			h, err := tooMany(test.form)(t.Context(), in, rand.New(rand.NewPCG(1, 1)))
			var found damage
			if errors.As(err, &found) != test.damaged || !test.damaged && err != nil {
				t.Errorf("the watch tells %v", err)
			}
			stop()
			if retryAfter := <-asked; retryAfter == "" || time.Since(h.since) > 2*time.Second {
				t.Errorf("Retry-After was %q, the end %s", retryAfter, h.since)
			}
			c.whole("grp/app1")
		})
	}
}

// keepAsking asks for a listing again and again, and returns the first
// Retry-After it was sent. If it is polite it asks no more then.
func (c *caller) keepAsking(ctx context.Context, polite bool) (retryAfter string) {
	for ctx.Err() == nil {
		s := c.ask(ctx, "grp/app1")
		if s.status == http.StatusTooManyRequests && retryAfter == "" {
			retryAfter = s.header.Get("Retry-After")
			if polite {
				return retryAfter
			}
		}
	}
	return retryAfter
}

func TestDeadlyProjectKillsWhoListsIt(t *testing.T) {
	t.Parallel()
	in := registryInstallation(t, map[string]int{"grp/App1": 3, "grp/app12": 1})
	c := newCaller(t, in.registry)
	scanning, killed := context.WithCancel(t.Context())
	kills := 0
	end := in.registry.suffer(killing("grp/App1", func() error {
		if kills++; kills > 1 {
			return errors.New("nobody has it")
		}
		killed()
		return nil
	}))
	c.whole("grp/app12")
	if s := c.ask(scanning, "grp/app1"); kills != 1 || s.status != 0 {
		t.Errorf("%d kills, and the scanner got %s", kills, s)
	}
	c.whole("grp/app1") // as somebody else may
	if kills != 2 {
		t.Errorf("%d looks for the scanner, want 2", kills)
	}
	end()
	c.whole("grp/app1")
}
