package cmd_test

import (
	"errors"
	"io/fs"
	"strings"
	"testing"
	"time"

	"regmend/cmd"
	"regmend/shared/postgres"
	"regmend/shared/registry"
)

// found checks that one of the lines begins and goes on as wanted.
func found(t *testing.T, lines []string, want string) {
	t.Helper()
	begin, part, _ := strings.Cut(want, "…")
	for _, line := range lines {
		if strings.HasPrefix(line, begin) && strings.Contains(line, part) {
			return
		}
	}
	t.Errorf("no line is %q in\n%s", want, strings.Join(lines, "\n"))
}

func TestDoctorOnRedis(t *testing.T) {
	healthy := func(changes map[string]string) cmd.RedisFacts {
		info := map[string]string{
			"redis_version": "7.0.15", "redis_mode": "standalone", "role": "master",
			"maxmemory_policy": "noeviction", "maxmemory": "0", "used_memory": "1048576", "aof_enabled": "1",
		}
		for key, value := range changes {
			info[key] = value
		}
		return cmd.RedisFacts{Info: info, Latency: time.Millisecond, Keys: 3, Looked: 3}
	}
	if lines := cmd.JudgeRedis(healthy(nil)); strings.Count(strings.Join(lines, "\n")+"\n", "ok    ") != len(lines) {
		t.Errorf("a healthy Redis:\n%s", strings.Join(lines, "\n"))
	}
	for name, c := range map[string]struct {
		changes map[string]string
		want    string
	}{
		"the oldest version":       {map[string]string{"redis_version": "6.2.0"}, "ok    redis version: 6.2.0"},
		"a version too old":        {map[string]string{"redis_version": "6.0.16"}, "FAIL  redis version: 6.0.16…6.2"},
		"no version":               {map[string]string{"redis_version": ""}, "FAIL  redis version: "},
		"a two-digit version":      {map[string]string{"redis_version": "10.0.1"}, "ok    redis version: 10.0.1"},
		"a cluster":                {map[string]string{"redis_mode": "cluster"}, "FAIL  redis version: …cluster"},
		"a replica":                {map[string]string{"role": "slave"}, "FAIL  redis role: slave"},
		"eviction":                 {map[string]string{"maxmemory_policy": "volatile-lru", "maxmemory": "1000000"}, "FAIL  redis eviction: …noeviction"},
		"eviction without a limit": {map[string]string{"maxmemory_policy": "volatile-lru"}, "warn  redis eviction: …noeviction"},
		"memory running short":     {map[string]string{"maxmemory": "1100000"}, "warn  redis memory: 1 MiB of 1 MiB used"},
		"memory unknown":           {map[string]string{"used_memory": ""}, "warn  redis memory: …could not be checked"},
		"no persistence":           {map[string]string{"aof_enabled": "0"}, "warn  redis persistence: …appendonly yes"},
	} {
		t.Run(name, func(t *testing.T) { found(t, cmd.JudgeRedis(healthy(c.changes)), c.want) })
	}

	others := healthy(nil)
	others.Foreign, others.Example = 2, "cache:\x1b[1m"
	found(t, cmd.JudgeRedis(others), `warn  redis keys: 2 of the 3 keys looked at are of others, such as "cache:\x1b[1m"`)
	slow := healthy(nil)
	slow.Latency = 20 * time.Millisecond
	found(t, cmd.JudgeRedis(slow), "warn  redis latency: a round trip takes 20ms")
	refused := healthy(nil)
	refused.Info, refused.InfoError = nil, errors.New("NOPERM")
	found(t, cmd.JudgeRedis(refused), "warn  redis: INFO is refused (NOPERM)")
}

func TestDoctorOnClocks(t *testing.T) {
	for name, c := range map[string]struct {
		ahead, off time.Duration
		want       string
	}{
		"the same":                  {0, 0, "ok    clock of postgres: as ours"},
		"a little ahead":            {2 * time.Second, 0, "ok    clock of postgres: as ours, to 2s"},
		"ahead":                     {10 * time.Second, 0, "warn  clock of postgres: 10s ahead of ours"},
		"behind":                    {-10 * time.Second, 0, "warn  clock of postgres: 10s behind ours"},
		"far ahead":                 {time.Hour, 0, "FAIL  clock of postgres: 1h0m0s ahead of ours"},
		"perhaps ahead, not surely": {6 * time.Second, 2 * time.Second, "ok    clock of postgres"},
	} {
		t.Run(name, func(t *testing.T) { found(t, []string{cmd.JudgeClock(c.ahead, c.off)}, c.want) })
	}
}

func TestDoctorOnPostgres(t *testing.T) {
	healthy := postgres.Inspection{
		ServerVersion: "16.4", ServerVersionNum: 160004, Database: "gitlabhq_production", Role: "regmend", Encoding: "UTF8",
		HasProjects: true, AnyProjects: true, ProjectsEstimate: 1_234_567, HasSchema: true, Version: 3,
		ProjectsOwner: "gitlab", ForeignKey: true, ForeignKeyValid: true, Pooling: postgres.PoolingNone,
	}
	if lines := cmd.JudgePostgres(healthy, nil); strings.Count(strings.Join(lines, "\n")+"\n", "ok    ") != len(lines) {
		t.Errorf("a healthy Postgres:\n%s", strings.Join(lines, "\n"))
	}
	older := errors.New("the schema regmend has version 1 and this program needs 3: run `regmend migrate`")
	for name, c := range map[string]struct {
		change    func(in *postgres.Inspection)
		schemaErr error
		want      string
	}{
		"a version too old": {func(in *postgres.Inspection) { in.ServerVersionNum, in.ServerVersion = 110022, "11.22" }, nil, "FAIL  postgres version: 11.22"},
		"a standby":         {func(in *postgres.Inspection) { in.Standby = true }, nil, "FAIL  postgres primary: "},
		"not GitLab's":      {func(in *postgres.Inspection) { in.HasProjects = false }, nil, "FAIL  postgres database: …no table public.projects"},
		"the CI database":   {func(in *postgres.Inspection) { in.AnyProjects = false }, nil, "FAIL  postgres database: …not its CI database"},
		"another GitLab":    {func(in *postgres.Inspection) { in.LacksColumns = []string{"routes.path"} }, nil, "FAIL  postgres database: …lacks routes.path"},
		"no right to read":  {func(in *postgres.Inspection) { in.LacksSelect = []string{"public.routes"} }, nil, "FAIL  postgres reading: …runtime.sql"},
		"before migrate": {func(in *postgres.Inspection) {
			in.LacksSelect, in.HasSchema, in.MayCreateSchema = []string{"public.routes"}, false, true
		}, postgres.ErrNoSchema, "warn  postgres reading: …after regmend migrate"},
		"no index":              {func(in *postgres.Inspection) { in.LacksLowerPathIndex = true }, nil, "warn  postgres reading: "},
		"an older schema":       {nil, older, "FAIL  postgres schema: …regmend migrate"},
		"no right to migrate":   {func(in *postgres.Inspection) { in.HasSchema = false }, postgres.ErrNoSchema, "FAIL  postgres schema: …owner.sql"},
		"a right is lacking":    {func(in *postgres.Inspection) { in.LacksRuntime = []string{"INSERT on regmend.runs"} }, nil, "FAIL  postgres rights: …INSERT on regmend.runs"},
		"a superuser":           {func(in *postgres.Inspection) { in.Superuser = true }, nil, "warn  postgres rights: "},
		"the backup would fail": {func(in *postgres.Inspection) { in.OwnerLacks = []string{"regmend.runs"} }, nil, "FAIL  gitlab backup: …role gitlab"},
		"no foreign key":        {func(in *postgres.Inspection) { in.ForeignKey = false }, nil, "ok    foreign key: left out"},
		"half a foreign key":    {func(in *postgres.Inspection) { in.ForeignKeyValid = false }, nil, "warn  foreign key: "},
		"a pooler nobody knows": {func(in *postgres.Inspection) { in.Pooling = postgres.PoolingUnknown }, nil, "warn  postgres pooler: its mode could not be checked"},
		"a pooler":              {func(in *postgres.Inspection) { in.Pooling = postgres.PoolingTransaction }, nil, "ok    postgres pooler: …pools transactions"},
	} {
		t.Run(name, func(t *testing.T) {
			in := healthy
			if c.change != nil {
				c.change(&in)
			}
			found(t, cmd.JudgePostgres(in, c.schemaErr), c.want)
		})
	}
}

func TestDoctorOnTheRegistry(t *testing.T) {
	granted := registry.Grant{Asked: true, Granted: true}
	refused := registry.Grant{Asked: true, Reason: "401 Unauthorized"}
	gitlab := registry.Inspection{
		Capabilities: registry.Capabilities{API: registry.GitLab, Version: "v4.32.0-gitlab"},
		Credentials:  "key", Issuer: "gitlab-issuer", Service: "container_registry",
		Challenge: registry.Challenge{Scheme: "bearer", Service: "container_registry"},
		List:      granted, Pull: granted, Catalog: granted,
	}
	distribution := registry.Inspection{
		Capabilities: registry.Capabilities{API: registry.Distribution}, Credentials: "none", Pull: granted, Catalog: granted,
	}
	for name, c := range map[string]struct {
		in     registry.Inspection
		change func(in *registry.Inspection)
		want   string
	}{
		"GitLab's":              {gitlab, nil, "ok    registry api: gitlab, GitLab's registry v4.32.0-gitlab"},
		"what the key may do":   {gitlab, nil, "ok    registry rights: the token key may list repositories, pull, read the catalog; the key can sign for push"},
		"the metadata is off":   {distribution, func(in *registry.Inspection) { in.Note = "its metadata database is off" }, "warn  registry api: "},
		"a wrong issuer":        {gitlab, func(in *registry.Inspection) { in.List = refused }, "FAIL  registry rights: …omnibus-gitlab-issuer"},
		"a wrong service":       {gitlab, func(in *registry.Inspection) { in.Challenge.Service = "other" }, "FAIL  registry token: …REGMEND_REGISTRY_TOKEN_SERVICE=other"},
		"a password for GitLab": {gitlab, func(in *registry.Inspection) { in.List, in.Credentials = refused, "password" }, "FAIL  registry rights: …REGMEND_REGISTRY_TOKEN_KEY_FILE"},
		"a bad collation":       {gitlab, func(in *registry.Inspection) { in.Compared, in.Contradicted = []string{"g/a9"}, []string{"g/a9"} }, "ok    registry collation: not C: …g/a9"},
		"a good collation":      {gitlab, func(in *registry.Inspection) { in.Compared = []string{"g/a9"} }, "ok    registry collation: nothing wrong with 1 path"},
		"tags refused":          {distribution, func(in *registry.Inspection) { in.Pull = refused }, "FAIL  registry tags: …REGMEND_REGISTRY_USERNAME"},
		"the catalog refused":   {distribution, func(in *registry.Inspection) { in.Catalog = refused }, "FAIL  registry catalog: …401"},
		"a large catalog":       {distribution, func(in *registry.Inspection) { in.CatalogLarge = true }, "warn  registry catalog: more than 1,000"},
	} {
		t.Run(name, func(t *testing.T) {
			if c.change != nil {
				c.change(&c.in)
			}
			found(t, cmd.JudgeRegistry(c.in), c.want)
		})
	}
}

func TestDoctorOnTheStrategy(t *testing.T) {
	granted, refused := registry.Inspection{Credentials: "key"}, registry.Inspection{Credentials: "key"}
	granted.Catalog = registry.Grant{Asked: true, Granted: true}
	refused.Catalog = registry.Grant{Asked: true, Reason: "401 Unauthorized"}
	for name, c := range map[string]struct {
		settings postgres.Settings
		in       registry.Inspection
		want     string
	}{
		"project by project":    {postgres.Settings{Strategy: postgres.StrategyProject}, refused, "ok    setting strategy: each project"},
		"a sweep that can be":   {postgres.Settings{Strategy: postgres.StrategySweep}, granted, "ok    setting strategy: sweep, and the token key may"},
		"a catalog refused":     {postgres.Settings{Strategy: postgres.StrategyAuto}, refused, "warn  setting strategy: auto, but the token key may not…401"},
		"a scope is set, too":   {postgres.Settings{Strategy: postgres.StrategyAuto, Scope: []string{"g"}}, granted, "warn  setting strategy: auto, but no sweep begins…keeps to g"},
		"a scope, no sweep set": {postgres.Settings{Strategy: postgres.StrategyProject, Scope: []string{"g"}}, granted, "ok    setting strategy"},
	} {
		t.Run(name, func(t *testing.T) { found(t, []string{cmd.JudgeStrategy(c.settings, c.in)}, c.want) })
	}
}

func TestDoctorOnTransport(t *testing.T) {
	for name, c := range map[string]struct{ url, credentials, want string }{
		"https":                 {"https://registry.example.com", "some", "ok    registry transport: https"},
		"http, nothing to lose": {"http://registry.example.com", "none", "ok    registry transport: http"},
		"http on this machine":  {"http://127.0.0.1:5000", "some", "ok    registry transport: http"},
		"http with credentials": {"http://registry.example.com", "some", "warn  registry transport: …use https"},
	} {
		t.Run(name, func(t *testing.T) { found(t, []string{cmd.JudgeTransport(c.url, c.credentials)}, c.want) })
	}
	for mode, want := range map[fs.FileMode]string{0o600: "ok    registry key file", 0o640: "ok    registry key file", 0o644: "warn  registry key file: …chmod o= key.pem"} {
		t.Run(mode.String(), func(t *testing.T) { found(t, []string{cmd.JudgeKeyFile("key.pem", mode)}, want) })
	}
}

func TestDoctorOnTheWitness(t *testing.T) {
	for name, c := range map[string]struct {
		looked cmd.Looked
		share  int
		want   string
	}{
		"all are there":            {cmd.Looked{Sampled: 20, Found: 20}, 50, "ok    witness: 20 of 20"},
		"just enough":              {cmd.Looked{Sampled: 20, Found: 10}, 50, "ok    witness: 10 of 20"},
		"too few":                  {cmd.Looked{Sampled: 20, Found: 9, Lost: "g/a"}, 50, "FAIL  witness: only 9 of 20…not g/a"},
		"none need be there":       {cmd.Looked{Sampled: 20}, 0, "ok    witness: 0 of 20"},
		"few rows, all there":      {cmd.Looked{Sampled: 3, Found: 3}, 50, "ok    witness: 3 of 3…allowed"},
		"few rows, none there":     {cmd.Looked{Sampled: 3, Lost: "g/a"}, 50, "warn  witness: 0 of 3…too few rows to tell"},
		"no rows":                  {cmd.Looked{}, 50, "ok    witness: 0 of 0…allowed"},
		"the registry fell silent": {cmd.Looked{Sampled: 4, Found: 4, Err: errors.New("503")}, 50, "FAIL  witness: after 4…503"},
	} {
		t.Run(name, func(t *testing.T) { found(t, []string{cmd.JudgeWitness(c.looked, c.share)}, c.want) })
	}
}

func TestDoctorOnKindness(t *testing.T) {
	hours, err := postgres.ParseHours("22:00-06:00 Europe/Berlin")
	if err != nil {
		t.Fatal(err)
	}
	noon := time.Date(2026, 7, 15, 10, 0, 0, 0, time.UTC)
	run := postgres.Run{ID: 3}
	step := func(slots int) postgres.BrakeStep {
		return postgres.BrakeStep{ID: 9, Run: 3, Slots: slots, Reason: "it refused"}
	}
	for name, test := range map[string]struct {
		state postgres.State
		want  string
	}{
		"the brake is off":        {postgres.State{Settings: postgres.Settings{MaxConcurrency: 8}}, "ok    setting brake: off…fails is asked"},
		"it leaves all":           {postgres.State{Settings: postgres.Settings{MaxConcurrency: 8, Brake: true}, Run: run, Brake: step(8)}, "ok    setting brake: on, and leaves 8 slots…"},
		"it leaves most":          {postgres.State{Settings: postgres.Settings{MaxConcurrency: 8, Brake: true}, Run: run, Brake: step(6)}, "ok    setting brake: it leaves 6 of 8 slots: it refused…"},
		"it leaves half":          {postgres.State{Settings: postgres.Settings{MaxConcurrency: 8, Brake: true}, Run: run, Brake: step(4)}, "warn  setting brake: it leaves 4 of 8…lower max_concurrency"},
		"it climbs":               {postgres.State{Settings: postgres.Settings{MaxConcurrency: 8, Brake: true}, Run: run, Brake: postgres.BrakeStep{ID: 9, Run: 3, Was: 2, Slots: 4, At: noon.Add(-5 * time.Second), Reason: "it is well"}}, "ok    setting brake: it leaves 4 of 8 slots, and gives them back…"},
		"a step of another run":   {postgres.State{Settings: postgres.Settings{MaxConcurrency: 8, Brake: true}, Run: postgres.Run{ID: 4}, Brake: step(4)}, "ok    setting brake: on, and begins with 2 of 8…"},
		"a rate":                  {postgres.State{Settings: postgres.Settings{PerSecond: 25}}, "ok    setting requests_per_second: 25 requests a second, over all…"},
		"outside of active hours": {postgres.State{Settings: postgres.Settings{ActiveHours: hours}}, "ok    setting active_hours: 22:00-06:00 Europe/Berlin; nothing is scanned before 2026-07-15 22:00 CEST…"},
	} {
		t.Run(name, func(t *testing.T) { found(t, cmd.JudgeKindness(test.state, noon), test.want) })
	}
}
