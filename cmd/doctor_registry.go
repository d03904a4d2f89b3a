package cmd

import (
	"fmt"
	"io/fs"
	"net/url"
	"strings"

	"regmend/shared/registry"
)

// judgeRegistry judges what the registry showed of itself.
func judgeRegistry(in registry.Inspection) []finding {
	findings := []finding{judgeAPI(in.Capabilities)}
	if in.Credentials == "key" {
		findings = append(findings, judgeService(in))
	}
	if in.API == registry.GitLab {
		return append(findings, judgeList(in), judgeCollation(in))
	}
	return append(findings, judgePull(in), judgeCatalog(in))
}

func judgeAPI(c registry.Capabilities) finding {
	const subject = "registry api"
	about := string(c.API)
	if c.Version != "" {
		about += ", GitLab's registry " + c.Version
	}
	if c.Note != "" {
		return warn(subject, "turn its metadata database on, which makes scans far cheaper", "%s: %s", about, c.Note)
	}
	return ok(subject, "%s", about)
}

// judgeService compares the tokens made here with what the registry asks for.
func judgeService(in registry.Inspection) finding {
	const subject = "registry token"
	if asked := in.Challenge.Service; asked != "" && asked != in.Service {
		return fail(subject, "set REGMEND_REGISTRY_TOKEN_SERVICE="+asked,
			"the registry wants tokens for the service %q, these are for %q", asked, in.Service)
	}
	return ok(subject, "issued by %s for %s", in.Issuer, in.Service)
}

func judgeList(in registry.Inspection) finding {
	if in.List.Granted {
		return ok("registry rights", "%s may list repositories%s", credentialsText(in), otherRights(in))
	}
	return fail("registry rights", credentialsAdvice(in), "%s may not list repositories: %s", credentialsText(in), in.List.Reason)
}

// otherRights says what else the credentials are good for.
func otherRights(in registry.Inspection) string {
	var also []string
	if in.Pull.Granted {
		also = append(also, "pull")
	}
	if in.Catalog.Granted {
		also = append(also, "read the catalog")
	}
	text := ""
	if len(also) > 0 {
		text = ", " + strings.Join(also, ", ")
	}
	if in.Credentials == "key" {
		text += "; the key can sign for push and delete as well: keep it as safe as GitLab does"
	}
	return text
}

func credentialsText(in registry.Inspection) string {
	switch in.Credentials {
	case "key":
		return "the token key"
	case "password":
		return "this user"
	default:
		return "anybody (no credentials are set)"
	}
}

// credentialsAdvice is what to do where listing is refused.
func credentialsAdvice(in registry.Inspection) string {
	switch {
	case in.Credentials == "key":
		return "check that the key belongs to a certificate the registry trusts (rootcertbundle), and the issuer: " +
			"REGMEND_REGISTRY_TOKEN_ISSUER is " + in.Issuer + ", Omnibus uses omnibus-gitlab-issuer"
	case in.API == registry.GitLab:
		return "set REGMEND_REGISTRY_TOKEN_KEY_FILE to the key GitLab signs registry tokens with: " +
			"a user name and password cannot drive GitLab's list API"
	default:
		return "set REGMEND_REGISTRY_USERNAME and REGMEND_REGISTRY_PASSWORD to a user who may pull everything and read the catalog"
	}
}

// judgeCollation tells of listings that come back empty though they are not.
func judgeCollation(in registry.Inspection) finding {
	const subject = "registry collation"
	switch {
	case len(in.Contradicted) > 0:
		return ok(subject, "not C: listings such as that of %s come back empty, so regmend looks twice at those", in.Contradicted[0])
	case len(in.Compared) > 0:
		return ok(subject, "nothing wrong with %s that could show it", counted(len(in.Compared), "path", "paths"))
	default:
		return ok(subject, "no sampled path can show it; empty listings of paths that might be affected are looked at twice")
	}
}

func judgePull(in registry.Inspection) finding {
	if in.Pull.Granted {
		return ok("registry tags", "%s may read them", credentialsText(in))
	}
	return fail("registry tags", credentialsAdvice(in), "%s may not read them: %s", credentialsText(in), in.Pull.Reason)
}

func judgeCatalog(in registry.Inspection) finding {
	const subject = "registry catalog"
	switch {
	case !in.Catalog.Granted:
		return fail(subject, credentialsAdvice(in), "%s may not read it: %s", credentialsText(in), in.Catalog.Reason)
	case in.CatalogLarge:
		return warn(subject, "raise batch_size, as each batch reads the whole catalog (regmend settings set batch_size 1000), "+
			"or use GitLab's API if the registry can",
			"more than 1,000 repositories")
	default:
		return ok(subject, "%s may read it; one page holds it", credentialsText(in))
	}
}

// judgeTransport tells of credentials that travel in the clear.
func judgeTransport(rawURL, credentials string) finding {
	const subject = "registry transport"
	u, err := url.Parse(rawURL)
	switch {
	case err != nil:
		return unchecked(subject, "encryption")
	case u.Scheme == "https":
		return ok(subject, "https")
	case credentials == "none" || isLoopback(u.Hostname()):
		return ok(subject, "http, unencrypted")
	default:
		return warn(subject, "use https", "http: credentials travel in the clear")
	}
}

// judgeKeyFile tells of a key that others on this machine can read.
func judgeKeyFile(file string, mode fs.FileMode) finding {
	const subject = "registry key file"
	if mode.Perm()&0o007 != 0 {
		return warn(subject, "chmod o= "+file, "every user of this machine can read %s (%s)", file, mode.Perm())
	}
	return ok(subject, "%s", mode.Perm())
}

// looked is what the witness saw.
type looked struct {
	Sampled, Found int
	Lost           string // one that was not found
	Err            error  // that ended the look
}

// witnesses is how many rows are looked for at most, as many as consumers look
// for; enoughWitnesses is how many it takes to say anything.
const witnesses, enoughWitnesses = 200, 20

// judgeWitness says whether this can be the registry that belongs to the
// database: share is the setting witness_share.
func judgeWitness(l looked, share int) finding {
	const subject = "witness"
	saw := fmt.Sprintf("%d of %d repositories the database knows are in the registry", l.Found, l.Sampled)
	switch {
	case l.Err != nil:
		return fail(subject, "mend the registry's checks above first", "after %d of its repositories the registry could not be asked: %v", l.Sampled, l.Err)
	case l.Sampled < enoughWitnesses && l.Found < l.Sampled:
		return warn(subject, "make sure that this is GitLab's registry", "%s, such as not %s; too few rows to tell by", saw, l.Lost)
	case l.Sampled < enoughWitnesses:
		return ok(subject, "%s; that is few, and allowed", saw)
	case l.Found*100 < share*l.Sampled:
		return fail(subject, "make sure that REGMEND_REGISTRY_URL is GitLab's registry and that it is whole; "+
			"if it really lost that much, lower the setting witness_share",
			"only %s, such as not %s; witness_share asks for %d %%", saw, l.Lost, share)
	default:
		return ok(subject, "%s", saw)
	}
}
