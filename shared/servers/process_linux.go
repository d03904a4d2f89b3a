package servers

import (
	"os/exec"
	"syscall"
)

// tie makes the process get the signal when its parent ends, and keeps it out
// of the terminal's group.
func tie(cmd *exec.Cmd, signal syscall.Signal) {
	if cmd.SysProcAttr == nil {
		cmd.SysProcAttr = &syscall.SysProcAttr{}
	}
	cmd.SysProcAttr.Pdeathsig = signal
	cmd.SysProcAttr.Setpgid = true
}
