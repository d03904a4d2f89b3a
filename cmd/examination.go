package cmd

import (
	"context"
	"errors"
	"net/netip"
	"os"
	"time"

	"regmend/shared/board"
	"regmend/shared/postgres"
	"regmend/shared/registry"

	"github.com/redis/go-redis/v9"
)

// examination goes from part to part. What one finds the later ones use; what
// is nil could not be had.
type examination struct {
	*parts
	state    *postgres.State
	sample   []postgres.Sampled
	mark     *postgres.Remembered
	client   *registry.Client
	identity string
	readings []clock
}

// examineWithin bounds what one part's checks may take.
const examineWithin = 60 * time.Second

func (e *examination) configuration(context.Context) []finding {
	var findings []finding
	for _, f := range e.faults {
		if f.part&(database|queue|registryHost) == 0 {
			findings = append(findings, fail("configuration", "mend it in the environment", "%v", f.err))
		}
	}
	for _, name := range unknownVariables(e.process.Environ) {
		findings = append(findings, warn("configuration", "correct or unset it", "%s is not a variable of regmend's", name))
	}
	if len(findings) == 0 {
		findings = append(findings, ok("configuration", "every variable is known"))
	}
	return findings
}

func (e *examination) redis(ctx context.Context) []finding {
	const rest = "version, eviction, persistence and keys of others"
	if err := faultsOf(e.faults, queue); err != nil {
		return []finding{fail("redis", "correct the environment", "%v", err), unchecked("redis", rest)}
	}
	rdb, err := e.parts.redis()
	if err != nil {
		return []finding{fail("redis", "correct it", "%v", err), unchecked("redis", rest)}
	}
	ctx, cancel := context.WithTimeout(ctx, examineWithin)
	defer cancel()
	before := time.Now()
	facts, err := inspectRedis(ctx, rdb)
	if err != nil {
		return []finding{fail("redis", "check REGMEND_REDIS_URL, and that Redis runs", "cannot be worked with: %v", err), unchecked("redis", rest)}
	}
	e.readings = append(e.readings, newClock("redis", facts.Time, before, facts.Asked))
	return append(judgeRedis(facts), e.remembered(ctx, rdb)...)
}

// remembered compares the run that Redis knows with the database's.
func (e *examination) remembered(ctx context.Context, rdb redis.UniversalClient) []finding {
	asked := time.Now()
	mark, err := board.New(rdb).RunMark(ctx)
	if err != nil {
		return []finding{fail("run", "check the rights of this Redis user: it needs the keys regmend:* and asynq:*", "Redis does not tell which run it knows: %v", err)}
	}
	e.mark = &postgres.Remembered{Run: mark.Run, Scan: mark.Scan, At: asked}
	return nil
}

func (e *examination) registry(ctx context.Context) []finding {
	const rest = "API, credentials and collation"
	if err := faultsOf(e.faults, registryHost); err != nil {
		return []finding{fail("registry", "correct the environment", "%v", err), unchecked("registry", rest)}
	}
	reg, err := e.parts.registry(nil)
	if err != nil {
		return []finding{fail("registry", "correct the configuration", "%v", err), unchecked("registry", rest)}
	}
	findings := e.registryBasics()
	ctx, cancel := context.WithTimeout(ctx, examineWithin)
	defer cancel()
	in, err := reg.Inspect(ctx, e.samplePaths())
	if err != nil {
		return append(findings, fail("registry", registryAdvice(err, in), "%v", err), unchecked("registry", rest))
	}
	e.client, e.identity = reg, in.Identity
	if in.ClockKnown {
		e.readings = append(e.readings, clock{Of: "the registry", Ahead: in.ClockAhead, Off: time.Second})
	}
	findings = append(findings, judgeRegistry(in)...)
	if e.state != nil {
		findings = append(findings, judgeStrategy(e.state.Settings, in))
	}
	return findings
}

// registryBasics are the checks that need no registry.
func (e *examination) registryBasics() []finding {
	credentials := "none"
	if e.config.tokenKeyFile != "" || e.config.registryPassword != "" {
		credentials = "some"
	}
	findings := []finding{judgeTransport(e.config.registryURL, credentials)}
	if file := e.config.tokenKeyFile; file != "" {
		if info, err := os.Stat(file); err == nil {
			findings = append(findings, judgeKeyFile(file, info.Mode()))
		}
	}
	return findings
}

// registryAdvice is what to do where the registry could not be probed.
func registryAdvice(err error, in registry.Inspection) string {
	var answer *registry.Error
	switch {
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &answer) && answer.StatusCode == 0:
		return "check REGMEND_REGISTRY_URL, and that the registry can be reached from here"
	case errors.As(err, &answer) && (answer.StatusCode == 401 || answer.StatusCode == 403):
		return credentialsAdvice(in)
	default:
		return "check that REGMEND_REGISTRY_URL is the registry's own address, not GitLab's"
	}
}

// samplePaths are a few paths that the registry should have.
func (e *examination) samplePaths() []string {
	var paths []string
	for _, s := range e.sample[:min(len(e.sample), enoughWitnesses)] {
		paths = append(paths, s.Project.RepositoryPath(s.Name))
	}
	return paths
}

// witness looks for repositories the database knows in the registry.
func (e *examination) witness(ctx context.Context) []finding {
	if e.client == nil || e.state == nil {
		return []finding{unchecked("witness", "whether this registry belongs to this database")}
	}
	ctx, cancel := context.WithTimeout(ctx, examineWithin)
	defer cancel()
	return []finding{judgeWitness(e.look(ctx), e.state.Settings.WitnessShare), e.judgeRun()}
}

func (e *examination) look(ctx context.Context) looked {
	var l looked
	for _, s := range e.sample {
		// Once the share is certainly reached the rest cannot change it.
		if l.Sampled >= enoughWitnesses && l.Found*100 >= e.state.Settings.WitnessShare*len(e.sample) {
			return l
		}
		path := s.Project.RepositoryPath(s.Name)
		holds, err := e.client.Holds(ctx, path)
		if err != nil {
			l.Err = err
			return l
		}
		l.Sampled++
		if holds {
			l.Found++
		} else {
			l.Lost = path
		}
	}
	return l
}

// judgeRun tells whether database, Redis and registry are those of the run.
func (e *examination) judgeRun() finding {
	if e.state.Run.ID == 0 {
		return ok("run", "none yet; the first one begins with the producer, or with enable")
	}
	var mark postgres.Remembered
	if e.mark != nil {
		mark = *e.mark
	}
	if err := e.state.Agrees(mark, e.identity); err != nil {
		return fail("run", "", "%v", err)
	}
	return ok("run", "%d; database, Redis and registry are still those it began with", e.state.Run.ID)
}

func isLoopback(host string) bool {
	ip, err := netip.ParseAddr(host)
	return host == "localhost" || (err == nil && ip.IsLoopback())
}
