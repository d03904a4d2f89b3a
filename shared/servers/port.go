package servers

import (
	"fmt"
	"math/rand/v2"
	"net"
	"sync"
)

// reserved keeps the ports of this process from every other FreePort.
var reserved reservations

// reservations are UDP sockets on ports whose TCP side is given away. Nobody here
// speaks UDP, and such a socket goes with its process, however that ends.
type reservations struct {
	mu      sync.Mutex
	sockets []net.PacketConn
}

// FreePort returns a port of the loopback interface on which nobody listens. No
// other call returns it, in this process or another one, until this process ends:
// so a server finds it free when it starts again. Who does not ask here may take it.
func FreePort() (int, error) {
	// Below the ports that systems use for outgoing connections.
	const lowest, highest = 15000, 32000
	for range 100 {
		port := lowest + rand.IntN(highest-lowest)
		if reserved.take(port) && isFree(port) {
			return port, nil
		}
	}
	return 0, fmt.Errorf("no free port between %d and %d", lowest, highest)
}

// take reserves the port, unless it is reserved.
func (r *reservations) take(port int) bool {
	socket, err := net.ListenPacket("udp", loopback(port))
	if err != nil {
		return false
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.sockets = append(r.sockets, socket)
	return true
}

func isFree(port int) bool {
	l, err := net.Listen("tcp", loopback(port))
	if err != nil {
		return false
	}
	return l.Close() == nil
}
