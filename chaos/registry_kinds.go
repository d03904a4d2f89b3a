package main

import (
	"context"
	"math/rand/v2"
	"net/http"
	"time"

	"regmend/shared/registry/registrytest"
)

// registryKinds are the outages and the single bad answers.
func registryKinds() []kind {
	var kinds []kind
	for _, o := range registryOutages {
		kinds = append(kinds, kind{name: "registry/" + o.name, inject: o.inject})
	}
	for _, form := range []string{"integer", "float", "date"} {
		kinds = append(kinds, kind{name: "registry/429-" + form, inject: tooMany(form)})
	}
	kinds = append(
		kinds,
		kind{name: "registry/suddenly-empty", inject: wrongRegistry(twinEmpty)},
		kind{name: "registry/another-registry", inject: wrongRegistry(twinForeign)},
		kind{name: "registry/deadly-project", inject: deadlyProject, blamed: true},
	)
	return append(kinds, singleKinds()...)
}

// registryOutage is a fault of the registry for everybody and some seconds.
type registryOutage struct {
	name  string
	begin func(r *registrySide, dice *rand.Rand) (end func())
}

var registryOutages = []registryOutage{
	{"down", (*registrySide).down},
	{"slow", ill(registrytest.Trickle(time.Millisecond))},
	{"hung", (*registrySide).hang},
	{"500-all", ill(registrytest.Status(http.StatusInternalServerError, "UNKNOWN"))},
	{"502-html", ill(badGateway)},
	{"503", ill(registrytest.Status(http.StatusServiceUnavailable, "UNAVAILABLE"))},
	{"no-database", twin((*registrySide).replaced, twinNoDatabase)},
	{"401-in-mid-scan", (*registrySide).revoke},
	{"rejected-tokens", ill(refusedToken)},
	{"clock-90s", (*registrySide).misjudgeTime},
	{"tls-failure", (*registrySide).failHandshakes},
	{"collation-glibc", twin((*registrySide).otherwise, twinGlibc)},
	{"collation-icu", twin((*registrySide).otherwise, twinICU)},
}

// outageLeast and outageMost bound how long an outage lasts.
const outageLeast, outageMost = 2 * time.Second, 4 * time.Second

func (o registryOutage) inject(ctx context.Context, in *installation, dice *rand.Rand) (healed, error) {
	d := outageLeast + time.Duration(dice.Int64N(int64(outageMost-outageLeast)))
	if err := in.working(ctx); err != nil {
		return healed{}, err
	}
	end := o.begin(in.registry, dice)
	err := pause(ctx, d)
	end()
	return healed{since: time.Now()}, err
}

// pause waits so long, or until ctx ends, which is an error.
func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// ill is an outage in which every answer is spoilt.
func ill(fault registrytest.Fault) func(*registrySide, *rand.Rand) func() {
	return func(r *registrySide, _ *rand.Rand) func() { return r.suffer(fault) }
}

// twin is one in which a twin answers.
func twin(answers func(*registrySide, string) registrytest.Fault, name string) func(*registrySide, *rand.Rand) func() {
	return func(r *registrySide, _ *rand.Rand) func() { return r.suffer(answers(r, name)) }
}

// down refuses connections. Those after it may speak another HTTP.
func (r *registrySide) down(dice *rand.Rand) (end func()) {
	r.proxy.Refuse()
	r.handshake.http2.Store(dice.IntN(2) == 0)
	return r.proxy.Pass
}

// hang lets requests hang. At the end they are answered, or dropped, as when
// the registry is started again, or the network lets them through.
func (r *registrySide) hang(dice *rand.Rand) (end func()) {
	way := dice.IntN(3)
	if way == 0 {
		r.proxy.Hang()
		return r.proxy.Pass
	}
	release := make(chan struct{})
	heal := r.suffer(func(answer http.Handler) http.Handler {
		if way == 1 {
			answer = registrytest.Drop()(answer)
		}
		return registrytest.Hold(release)(answer)
	})
	return func() { heal(); close(release) }
}

// revoke takes away every token that was used so far, again and again.
func (r *registrySide) revoke(*rand.Rand) (end func()) {
	stop, stopped := make(chan struct{}), make(chan struct{})
	r.double.Revoke()
	go func() {
		defer close(stopped)
		tick := time.NewTicker(time.Second)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
				r.double.Revoke()
			case <-stop:
				return
			}
		}
	}()
	return func() { close(stop); <-stopped }
}

// misjudgeTime sets the registry's clock ahead, and after a while behind.
func (r *registrySide) misjudgeTime(*rand.Rand) (end func()) {
	const off = 90 * time.Second
	r.double.SetClock(off)
	behind := time.AfterFunc(outageLeast/2, func() { r.double.SetClock(-off) })
	return func() {
		behind.Stop()
		r.double.SetClock(0)
	}
}

// failHandshakes shows a certificate that nobody may take, or none.
func (r *registrySide) failHandshakes(dice *rand.Rand) (end func()) {
	r.handshake.shown.Store(r.handshake.wrong[dice.IntN(len(r.handshake.wrong))])
	r.handshake.http2.Store(dice.IntN(2) == 0)
	r.proxy.Cut()
	return func() { r.handshake.shown.Store(nil) }
}

// learnt is how long it may take until every consumer knows of a Retry-After
// that one of them was given.
const learnt = 1500 * time.Millisecond

// tooMany answers 429 for some seconds, and tells until when. Nobody may ask
// for anything then.
func tooMany(form string) func(context.Context, *installation, *rand.Rand) (healed, error) {
	return func(ctx context.Context, in *installation, dice *rand.Rand) (healed, error) {
		d := 3*time.Second + time.Duration(dice.Int64N(int64(time.Second)))
		if err := in.working(ctx); err != nil {
			return healed{}, err
		}
		r, from := in.registry, in.registry.count()
		until := afterAll(d)
		end := r.suffer(tooManyUntil(until, form))
		err := pause(ctx, time.Until(until))
		end()
		if early := r.early(from, until); err == nil && r.alone.Load() && early > 0 {
			err = damagef("%d requests were sent before the end of Retry-After", early)
		}
		return healed{since: time.Now()}, err
	}
}

// early counts what was asked for from the i-th request on, when
// everyone had to know that the registry wants to be left alone until then.
func (r *registrySide) early(i int, until time.Time) (n int) {
	var told time.Time
	for _, req := range r.log.since(i) {
		switch {
		case told.IsZero() && req.status == http.StatusTooManyRequests:
			told = req.end
		case !told.IsZero() && req.works() &&
			req.start.After(told.Add(learnt)) && req.start.Before(until.Add(-100*time.Millisecond)):
			n++
		}
	}
	return n
}

// heldWithin is how long it may take until everyone holds, wrongFor how long
// at least a wrong registry answers.
const heldWithin, wrongFor = time.Minute, 5 * time.Second

// wrongRegistry lets a twin answer that knows nothing of what GitLab knows,
// until regmend holds, and is back by itself.
func wrongRegistry(twin string) func(context.Context, *installation, *rand.Rand) (healed, error) {
	return func(ctx context.Context, in *installation, _ *rand.Rand) (healed, error) {
		if err := in.working(ctx); err != nil {
			return healed{}, err
		}
		r := in.registry
		end := r.suffer(r.replaced(twin))
		defer end()
		err := pause(ctx, wrongFor)
		if err == nil && r.alone.Load() { // another fault may keep everyone from scanning, or from telling
			err = in.held(ctx, heldWithin, "sampled")
		}
		end()
		return healed{since: time.Now()}, err
	}
}
