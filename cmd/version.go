package cmd

import "runtime/debug"

// versionOf is the version the linker set, else what the build information
// knows: the module's version, or the commit it was built from.
func versionOf(p Process) string {
	if p.Version != "" {
		return p.Version
	}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	if v := info.Main.Version; v != "" && v != "(devel)" {
		return v
	}
	return commit(info.Settings)
}

func commit(settings []debug.BuildSetting) string {
	version := "devel"
	for _, s := range settings {
		switch {
		case s.Key == "vcs.revision":
			version += "-" + s.Value[:min(len(s.Value), 12)]
		case s.Key == "vcs.modified" && s.Value == "true":
			version += "+changes"
		}
	}
	return version
}
